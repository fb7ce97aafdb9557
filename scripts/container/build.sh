#!/bin/sh
# First stage of the image: make /image, all that is ours in the second one.
set -eu

cd "$(dirname "$0")/../.."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install --yes -qq --no-install-recommends \
    ca-certificates gcc libc6-dev python3 python3-dev python3-venv >/dev/null

place=/usr/lib/amiws-gevent
scripts/install-venv.sh "$(readlink -f /usr/bin/python3)" /image $place
for script in setup run health; do
    install -D -m 0755 scripts/container/$script.sh /image$place/container/$script.sh
done
