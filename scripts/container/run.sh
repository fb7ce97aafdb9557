#!/bin/sh
# What a container runs, with the options of amiws-gevent. Its log goes to standard output, where
# `docker logs` and Kubernetes look for it.
exec /usr/lib/amiws-gevent/bin/amiws-gevent "$@" 2>&1
