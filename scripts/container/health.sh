#!/bin/sh
# Whether the container is ready, by status 0: it has a server and takes clients. AMIWS_READY is
# where it is asked, if the configuration has another metrics_listen than the image's.
exec /usr/lib/amiws-gevent/bin/python3 -I -c '
import sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=4)
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error}")
' "${AMIWS_READY:-http://127.0.0.1:9090/readyz}"
