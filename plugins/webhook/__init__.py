"""`webhook`: POST events, or what has come to be so, to an HTTP receiver: in batches, signed.

::

    plugins:
    - webhook:
        url: https://crm.example.com/hooks/calls
        events: [Hangup, "Queue*"]
        secret_file: /etc/amiws/webhook.key

That is all that most receivers need. For several receivers list the plugin several
times. It sees events as clients get them, after all filters and transforms; answers to
clients' actions are not sent.

**What a receiver gets**, over HTTP/1.1, one POST at a time, in the events' order::

    POST /hooks/calls HTTP/1.1
    Content-Type: application/json
    X-Amiws-Delivery: 7d0cbb52-9a0e-4a9c-8f0c-2a37c9f3c1a5
    X-Amiws-Timestamp: 1767225600
    X-Amiws-Signature: sha256=5257a869...
    webhook-id: 7d0cbb52-9a0e-4a9c-8f0c-2a37c9f3c1a5
    webhook-timestamp: 1767225600
    webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=

    {"messages":[{"type":3,"server_id":1,"server_name":"pbx","ssl":false,"data":{...}}],"lost":0}

``lost`` is how many chosen messages went missing between the last batch that was
taken and this one. Answer 2xx as soon as you have a batch, within ``timeout``; a longer
job belongs after that.

**A batch comes at least once.** When its answer got lost it comes again, with the same
``webhook-id`` (also there as ``X-Amiws-Delivery``) and body, but a new time and signature:
remember the ids that you have worked off, and answer 2xx to a repeat without doing
anything. docs/plugins/webhook.md has a whole receiver that does.

**To verify** that a request is genuine and new (Python)::

    def genuine(key: bytes, headers, body: bytes) -> bool:
        id_, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        signed = hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, "sha256")
        right = b"v1," + base64.b64encode(signed)
        same = hmac.compare_digest(right, headers["webhook-signature"].encode())
        return same and abs(time.time() - int(timestamp)) < 300

``body`` is the raw bytes of the request, before any JSON parser; ``key`` those of the
settings' text or file. This is Standard Webhooks (https://www.standardwebhooks.com),
for which there are libraries in most languages. They want a key that is ``whsec_`` and
base64 (``echo "whsec_$(openssl rand -base64 32)"``); the bytes of such a key are what the
base64 stands for.

``X-Amiws-Signature`` is ``sha256=`` and the HMAC-SHA256, in hexadecimal digits, of
``X-Amiws-Timestamp``, a dot and the body, with the key's text as it is, ``whsec_`` or not.
The id is not signed in it. Without a key there is neither signature, nor ``webhook-id``
and ``webhook-timestamp``.

**A message when something is so**, in words of your own: ``when`` has a condition on the
live state, or a list, and ``body`` what is sent::

    - webhook:
        url: https://chat.example.com/hooks/0123456789
        when: queue support waiting >= 5 for 60 s
        body:
          text: "{name}: {waiting} callers wait ({server_name})"

A condition is ``KIND ID FIELD SIGN VALUE``, and ``for TIME`` where it has to hold for so long.
Kinds and their fields are those of docs/state.md and docs/state-kinds.md. ID may be a pattern,
or be left out for all; with blanks in it, it stands in quotes, as does a value. Signs are ``=``
and ``!=``, and for numbers ``>=``, ``<=``, ``>`` and ``<``; values also ``yes``, ``no`` and
``null``; ``caller.number`` is the member of a field::

    when:
    - queue waiting >= 10
    - queue "front desk" longest_wait > 300
    - server connection != connected for 2 min
    - queue_member "support|*" paused = yes for 30 min
    - endpoint trunk-* state = unavailable for 30 s

It is told once for each entity for which it holds. If it ends and holds again it is told again,
``when_pause`` after the last time at the earliest. With ``when`` no events are sent, unless
``events`` names some.

``body`` is a text, or keys and lists of texts, of which JSON is made. ``{name}`` in a text is a
field of the entity (``server_name``, ``server_id`` and ``when``, the condition, as well), or of an
event a header; ``{{`` and ``}}`` are braces; ``-`` stands for what there is not. A text that is
nothing but one field keeps its type: ``waiting: "{waiting}"`` is a number. Each message is a POST
of its own then. Without ``body`` a condition is sent among ``messages`` as ``{"server_id":1,
"server_name":"pbx","when":"...","entity":{...}}``.

**All settings**, those of batches, times and bounds with their defaults (of ``secret``
and ``secret_file``, and of a login in the URL and ``Authorization``, give one)::

    - webhook:
        url: https://user:password@example.com:8443/hook?x=1   # http or https
        events: "*"                     # one or a list, * and ? for any signs, in any case
        when_pause: 60                  # seconds until the same is told again; see above
        servers: pbx1                   # one or a list: names, patterns or ids; none: all
        headers:                        # of each request, never logged
          Authorization: Bearer 0123456789
        secret: ...                     # the key of the signatures; better in a file:
        secret_file: /etc/amiws/webhook.key    # without its line end; SIGHUP reads it again
        ssl_ca: /etc/amiws/ca.pem       # in the place of the system's authorities
        ssl_verify: yes
        batch_messages: 100             # a batch goes out when it has so many messages,
        batch_bytes: 256 KiB            #   or so many bytes,
        batch_delay: 1                  #   or its first message has waited so long (seconds)
        connect_timeout: 5              # seconds, for each step of connecting
        timeout: 15                     # seconds, for all of one POST
        queue_messages: 10000           # what may wait; past it the oldest are dropped
        queue_bytes: 16 MiB
        retry_delay: 1                  # bound of the first wait; doubles with each failure
        retry_delay_max: 30
        circuit_failures: 5             # so many failures in a row, and it is left alone
        circuit_cooldown: 30            # seconds, doubled each time that it is still dead
        circuit_cooldown_max: 10 min

Relative paths count from the folder of the configuration file.

**When it fails.** A connection that fails or breaks, a timeout, and the answers 408,
425, 429 and 5xx: the batch is tried again, after a random part of the wait
(``Retry-After`` is honoured up to 5 minutes). Any other answer means that the receiver
does not want the batch: it is dropped and counted as lost, and the log shows the status
and the beginning of the answer. Redirects are not followed.

While a receiver is dead, events wait in memory up to ``queue_messages`` and
``queue_bytes``, then the oldest go: a batch that is being tried again goes whole, so
that one which a receiver chokes on cannot hold up all others. After
``circuit_failures`` in a row nothing is sent for ``circuit_cooldown``; then one batch
decides whether the receiver is back. At the end of the program 2 seconds are left for
what still waits.

The log names scheme, host and port of the URL only: what follows may be a secret.
No proxy is used, whatever the environment says. Which URL is safe to send call data
to is yours to judge; the plugin asks any that it is given.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Mapping
from typing import Any

import orjson

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins import PluginContext, ServerInfo, StateChanges

from .._matching import NameSet, ServerSet
from .._template import of_message
from .body import of_entity
from .circuit import Circuit
from .condition import Condition
from .courier import Courier
from .outbox import Outbox
from .report import Report
from .sender import Sender
from .settings import Settings
from .watch import Watch

FLUSH_TIME = 2.0
"""Seconds for what waits when the plugin ends."""


class Plugin:
    """The hooks; all that a start makes is let go at the end."""

    def __init__(self) -> None:
        self._log = logging.getLogger(__name__)
        self._courier: Courier | None = None
        self._sender: Sender | None = None
        self._events = NameSet(())
        self._servers = ServerSet(())
        self._settings: Settings | None = None
        self._watch: Watch | None = None

    def amiws_settings(self) -> type[Settings]:
        """What can be set."""
        return Settings

    def amiws_startup(self, context: PluginContext) -> None:
        """Begin to send."""
        settings: Settings = context.settings
        self._settings = settings
        self._log = context.log
        _warn(settings, context.log)
        self._events = NameSet(settings.events if settings.sends_events else ())
        self._servers = ServerSet(settings.servers)
        self._courier = Courier(settings)
        self._sender = Sender(
            Outbox(settings),
            Circuit(settings),
            Report(context.log, str(settings.url), count_lost=context.losses.add),
            self._courier,
        )
        context.spawn(self._sender.run)
        if settings.when:
            self._watch = Watch(
                settings.when, self._servers, self._holds, pause=settings.when_pause
            )
            context.spawn(self._watch.run)

    def amiws_log_message(self, message: Message, server: ServerInfo, json: bytes) -> None:
        """Queue an event that was chosen."""
        if self._sender is None or message.kind is not Kind.EVENT:
            return
        if self._events.fits(message.name) and self._servers.fits(server):
            body = None if self._settings is None else self._settings.body
            self._sender.put(json if body is None else body.bytes(of_message(message, server)))

    def amiws_state_changed(self, changes: StateChanges, server: ServerInfo) -> None:
        """Look whether a condition holds now."""
        if self._watch is not None:
            self._watch.changed(changes, server)

    def _holds(self, condition: Condition, server: ServerInfo, entity: Mapping[str, Any]) -> None:
        """Queue what is to be said of a condition that holds."""
        if self._sender is None or self._settings is None:
            return
        known = {"server_id": server.id, "server_name": server.name, "when": condition.text}
        if self._settings.body is None:
            self._sender.put(orjson.dumps({**known, "entity": entity}))
        else:
            self._sender.put(self._settings.body.bytes(of_entity({**entity, **known})))

    def amiws_reload(self) -> None:
        """Read the files of the key and of the authorities again."""
        if self._courier is not None:
            try:
                self._courier.renew()
            except ValueError as error:
                self._log.warning("%s; the files read before stay in use", error)

    def amiws_shutdown(self) -> None:
        """Send what still waits, as far as it goes."""
        if self._sender is not None:
            self._sender.flush(FLUSH_TIME)
        if self._courier is not None:
            self._courier.close()
        self._sender = self._courier = self._watch = None


def _warn(settings: Settings, log: logging.Logger) -> None:
    """Of what an operator may not have meant."""
    url = settings.url
    if not settings.ssl_verify:
        log.warning("%s: its certificate is not checked (ssl_verify: no)", url)
    key = settings.secret_file
    if key is not None and key.stat().st_mode & stat.S_IROTH:
        log.warning("%s: every user of this machine can read the key; run chmod o-r on it", key)
    if not url.tls and not url.loopback and (settings.headers or url.login is not None):
        log.warning("%s: headers and login are sent unencrypted; use https", url)
