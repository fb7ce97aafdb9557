#!/bin/sh
# Second stage of the image: the Python of the virtual environment, and a user without rights.
set -eu

export DEBIAN_FRONTEND=noninteractive
python=$(readlink /usr/lib/amiws-gevent/bin/python3)
apt-get update -qq
apt-get install --yes -qq --no-install-recommends ca-certificates "$(basename "$python")" >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*

# By number in the Dockerfile, so that Kubernetes sees that it is not root.
groupadd --gid 8000 amiws
useradd --uid 8000 --gid amiws --no-create-home --home-dir /nonexistent \
    --shell /usr/sbin/nologin amiws
install -d -o amiws -g amiws /var/lib/amiws /var/log/amiws
