"""A client of ``amiws.v2`` for scripts and tests: live state, events and actions.

With plain threads, or with gevent's if the program has monkey-patched them. It needs the extra
``client``: ``pip install amiws-gevent[client]``. docs/client.md shows how to use it::

    with Client("https://pbx.example.org", user="anna", password=…) as client:
        for told in client.subscribe(["state"], kind="call"):
            print(told)
"""

from amiws_gevent.client.asking import Reply as Reply
from amiws_gevent.client.client import Client as Client
from amiws_gevent.client.collection import Change as Change
from amiws_gevent.client.collection import Entity as Entity
from amiws_gevent.client.collection import Name as Name
from amiws_gevent.client.login import ClientError as ClientError
from amiws_gevent.client.subscription import Event as Event
from amiws_gevent.client.subscription import Gap as Gap
from amiws_gevent.client.subscription import Subscription as Subscription
