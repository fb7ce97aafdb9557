#!/bin/sh
# Print the path of a Python that really runs, of version $1 (such as 3.12), or
# without $1 of any that is supported. Status 1 when the machine has none.
# A name on the PATH proves little: pyenv leaves a shim for each version that
# it has, which fails for all but the chosen one.
set -u

oldest=3.11

runs() {
    "$1" - "${2:-}" "$oldest" 2>/dev/null <<'PYTHON'
import sys

wanted, oldest = sys.argv[1:3]
version = sys.version_info[:2]
if wanted:
    fits = version == tuple(map(int, wanted.split(".")))
else:
    fits = version >= tuple(map(int, oldest.split(".")))
if fits:
    print(sys.executable)
sys.exit(not fits)
PYTHON
}

if [ $# -gt 0 ]; then
    names="python$1 ${PYENV_ROOT:-$HOME/.pyenv}/versions/$1.*/bin/python$1"
else
    names="python3 python3.14 python3.13 python3.12 python3.11"
fi
for name in $names; do
    runs "$name" "${1:-}" && exit 0
done
exit 1
