#!/bin/sh
# Build the Debian package of this checkout for the Debian release of this machine:
# scripts/build-deb.sh FOLDER puts it into FOLDER. It builds in a copy, so that the checkout stays
# as it is, and lintian has no say about what else lies in it.
set -eu

cd "$(dirname "$0")/.."
mkdir -p "$1"
out=$(cd "$1" && pwd)

# 1.0.0rc1 of Python is 1.0.0~rc1 of Debian. Each release has a version of its own, and a newer
# release has a newer one, so that the package is replaced when the machine is upgraded.
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' amiws_gevent/__init__.py |
    sed -E 's/(a|b|rc|\.dev)([0-9]+)$/~\1\2/')
release=$(. /etc/os-release && echo "$ID${VERSION_ID:?this release of Debian has no number yet}")
version=$version+$(echo "$release" | sed 's/^debian/deb/')

list_files() {
    if [ -e .git ]; then
        git ls-files -z --cached --others --exclude-standard
        [ ! -d web_root/vendor ] || find web_root/vendor -type f -print0
    else # of an unpacked sdist
        find . -type f -print0
    fi
}

# When the source was made, for all times in the package.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)
fi
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=$work/amiws-gevent
mkdir "$source"
list_files | tar --create --null --files-from=- --ignore-failed-read | tar --extract -C "$source"

cat >"$source/debian/changelog" <<CHANGELOG
amiws-gevent ($version) stable; urgency=medium

  * What is new: /usr/share/doc/amiws-gevent/changelog.gz

 -- amiws-gevent authors <amiws-gevent@localhost>  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
CHANGELOG

(cd "$source" && dpkg-buildpackage --build=binary --no-sign)
mv "$work"/amiws-gevent_* "$out"
echo "$1/amiws-gevent_${version}_$(dpkg --print-architecture).deb"
