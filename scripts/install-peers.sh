#!/bin/sh
# Install the Debian packages that the interop tests drive. It never fails: what is not there when it ends, because
# this is not root on Debian or a package cannot be had, is named, and the tests that need it are skipped.
set -eu
# command:package
peers="sipp:sip-tester kamailio:kamailio kamailio:kamailio-tls-modules baresip:baresip-core tshark:tshark \
chromium:chromium espeak-ng:espeak-ng node:nodejs npm:npm"

missing=""
for peer in $peers; do
    command -v "${peer%%:*}" >/dev/null 2>&1 || missing="$missing ${peer##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "install-peers: not root on Debian; tests that need$missing are skipped" >&2
    exit 0
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT

apt() { # tshark and others ask questions unless told not to
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null >>"$log" 2>&1
}

apt update || true # the old lists may do
# shellcheck disable=SC2086
if ! apt install -y --no-install-recommends $missing; then
    # One package that cannot be had must not keep the others away.
    for package in $missing; do
        apt install -y --no-install-recommends "$package" ||
            echo "install-peers: no $package ($(tail -n 1 "$log")); its tests are skipped" >&2
    done
fi
# Debian starts a proxy on port 5060 with the package; the tests start their own.
case $missing in
    *kamailio*) systemctl disable -q --now kamailio 2>/dev/null || true ;;
esac
