#!/bin/sh
# Make the virtual environment at $1 exactly what requirements.lock says, and put this checkout's sources on its path.
set -eu
venv=$1

python=""
for candidate in python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo "setup: Sidestream needs Python 3.11 or newer" >&2; exit 1; }
command -v cargo >/dev/null || { echo "setup: Sidestream needs Rust (cargo) to build its media engine" >&2; exit 1; }

if ! command -v clang >/dev/null; then
    # It compiles the media engine's in-kernel path, which is left out without it.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends clang; } >/dev/null 2>&1 || true
    fi
    command -v clang >/dev/null || echo "setup: no clang; the media engine is built without its in-kernel path" >&2
fi

if [ ! -x "$venv/bin/pip" ] && ! "$python" -m venv --clear "$venv" >/dev/null 2>&1; then
    # Debian splits ensurepip off into python3-venv.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
        "$python" -m venv --clear "$venv"
    else
        echo "setup: '$python -m venv' failed; install your system's python3-venv package" >&2
        exit 1
    fi
fi

"$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.5'
VIRTUAL_ENV=$(cd "$venv" && pwd) "$venv/bin/uv" pip install --quiet --require-hashes -r requirements.lock

# An editable install without a build step: the native module is built into the source tree by `make build`.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$(pwd)/src" > "$site/sidestream.pth"
# Without bytecode, which uv leaves out, a start takes three times as long, and calls wait for it after a crash.
"$venv/bin/python" -m compileall -q -j 0 "$site" || true  # a package may hold templates that are no Python
cat > "$venv/bin/sidestream" <<SCRIPT
#!$(cd "$venv" && pwd)/bin/python
from sidestream.cli.main import main

main()
SCRIPT
chmod +x "$venv/bin/sidestream"
