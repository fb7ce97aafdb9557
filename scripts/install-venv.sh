#!/bin/sh
# Install this source tree with its libraries into a virtual environment that is to run at another
# place: scripts/install-venv.sh PYTHON ROOT FOLDER makes it in ROOT, to be used as FOLDER once
# ROOT is / (a Debian package, a stage of a container image). PYTHON is its absolute path there and
# here, such as /usr/bin/python3.11. The libraries come from the package index that pip uses.
set -eu

python=$1
root=${2%/}
folder=$3
venv=$root$folder

cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# pip stays outside: nothing is to be installed into the environment later.
"$python" -m venv "$work/pip"
"$python" -m venv --without-pip "$venv"
# The live state is compiled to C: see build_tools/compiled.py.
AMIWS_COMPILE=yes "$work/pip/bin/python" -m pip --disable-pip-version-check --python "$venv/bin/python" \
    install --quiet --no-compile --no-warn-script-location '.[redis]'

# What tells of the place where it was made, and what no user needs.
find "$venv/bin" -mindepth 1 -not -name 'python*' -not -name amiws-gevent -delete
sed -i "1s|^#!.*|#!$folder/bin/python3|" "$venv/bin/amiws-gevent"
sed -i '/^command = /d' "$venv/pyvenv.cfg"
site=$(echo "$venv"/lib/python3*/site-packages)
rm -f "$site"/amiws_gevent-*.dist-info/direct_url.json
find "$site" -type d -name tests -prune -exec rm -rf {} +
find "$site" -type f \( -name '*.c' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd' \) -delete
rm -rf "$venv/include" "$venv/.gitignore"
"$python" -B scripts/true_record.py "$site"
find "$site" -type f -exec chmod 0644 {} +

# Compiled once: the service may not write there. Without times, so that a copy stays valid.
"$venv/bin/python" -m compileall -q --invalidation-mode unchecked-hash -s "$root" "$venv/lib"
