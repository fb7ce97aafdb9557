#!/bin/sh
# Make sure that the Debian packages named as arguments are there, or what they
# are for: missing ones are installed when we are root, else we say what to do.
# PYTHON is the Python that is going to make virtual environments, if there is one.
set -eu

is_there() {
    case $1 in
        python3) scripts/find-python.sh >/dev/null ;;
        python3-venv) "${PYTHON:-$(scripts/find-python.sh)}" -c 'import ensurepip, venv' ;;
        python3-dev) ls /usr/include/python3.*/Python.h >/dev/null ;;
        build-essential) command -v dpkg-buildpackage >/dev/null ;;
        iproute2) command -v ip >/dev/null ;;
        debhelper) command -v dh >/dev/null ;;
        apache2-utils) command -v htdigest >/dev/null ;;
        rsyslog) PATH=$PATH:/usr/sbin command -v rsyslogd >/dev/null ;;
        rsyslog-gnutls) ls /usr/lib/*/rsyslog/lmnsd_gtls.so >/dev/null ;;
        fonts-noto-core) ls /usr/share/fonts/truetype/noto/NotoSansThai-*.ttf >/dev/null ;;
        fonts-noto-cjk) ls /usr/share/fonts/opentype/noto/NotoSansCJK-*.ttc >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac 2>/dev/null
}

list_missing() {
    for package; do
        is_there "$package" || printf ' %s' "$package"
    done
}

cd "$(dirname "$0")/.."
missing=$(list_missing "$@")
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Debian packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # No daemon of theirs is to run: tests start their own. (Debian Policy 9.3.3, invoke-rc.d.)
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
    missing=$(list_missing "$@")
    [ -z "$missing" ] || { echo "Installed, and still not usable:$missing" >&2; exit 1; }
else
    echo "Missing on this machine:$missing" >&2
    echo "On Debian and Ubuntu, as root: apt-get install$missing" >&2
    exit 1
fi
