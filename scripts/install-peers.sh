#!/bin/sh
# Install the Debian packages that the interop tests drive. Without root nothing is installed: those tests are then
# skipped, each naming what it misses.
set -eu
packages="sip-tester tshark espeak-ng chromium"

[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "install-peers: not root on Debian, nothing installed" >&2; exit 0; }
missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || echo "install-peers: apt-get update failed, trying with the old lists" >&2
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    echo "install-peers: some of$missing could not be installed; their tests will be skipped" >&2
