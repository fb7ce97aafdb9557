#!/usr/bin/env bash
# Makes a tree like this one whose program is that of a compiled wheel: compiled-tree.sh FOLDER
# Tests and bench that are run in it find that program first. Needs a C compiler.
set -euo pipefail
tree=$1
python=.venv/bin/python

if ! command -v "${CC:-cc}" > /dev/null; then
	echo "There is no C compiler: install gcc and python3-dev" >&2
	exit 1
fi
rm -rf "$tree" "$tree.wheel"
mkdir -p "$tree"
AMIWS_COMPILE=yes "$python" -m build --wheel --no-isolation --outdir "$tree.wheel" .
"$python" -m zipfile -e "$tree.wheel"/*.whl "$tree"
for path in * .venv; do
	[ -e "$tree/$path" ] || ln -s "$PWD/$path" "$tree/$path"
done
