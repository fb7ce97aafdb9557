"""`syslog_events`: events that operations want to see, as syslog lines (RFC 5424).

::

    plugins:
    - syslog_events                      # to the local syslog daemon, what is useful to all

    - syslog_events:
        to: tls://logs.example.com       # or /dev/log, udp://HOST[:PORT], tcp://HOST[:PORT]

List it several times for several receivers. It sees events as clients get them, after all
filters and transforms. A line, here in three::

    <132>1 2026-11-22T18:12:20.973Z gw.example.com amiws-gevent 4711 PeerStatus
    [meta sequenceId="7"][amiws@32473 server="pbx1" server_id="1" rule="peer_unreachable"]
    [ami@32473 Peer="SIP/101" PeerStatus="Unreachable"] SIP/101 is Unreachable on pbx1

The event's name is the MSGID. ``amiws`` holds what we say, ``ami`` the event's headers as
the server said them. ``sequenceId`` counts the lines that were made: a gap is a line that
did not arrive.

**Out of the box** (the name of the rule, with the severity): `connection_lost` (err) and
`connection_up` (notice) for the connection to a server, `peer_unreachable` and
`contact_unreachable` (warning), `peer_changed`, `contact_changed` and
`device_unavailable` (notice), `registration_failed` (err) and `registration_ended`
(warning) for the server's own registrations, `security` (warning) and
`security_notice`, `booted`, `shutdown` and `reloaded` (notice). ``defaults: no`` leaves
them out.

**Rules of yours** are asked before them; the first rule that fits an event makes its
line, and all that a rule says must fit::

    rules:
    - events: Hangup                     # a name or a list; globs: "Queue*"
      servers: [pbx1, "branch-*", 7]     # names, globs or ids; without it: all servers
      headers:                           # all must fit; of a list of values any
        Cause: ["34", "38", "41"]
        Channel: "PJSIP/trunk-*"         # a text with * ? [ is a glob, others are exact
        Context: {regex: "^from-"}       # or {is: ...}, {glob: ...}, ignore_case: true
      name: trunk_trouble                # in its lines; without it rule1, rule2 ...
      severity: err                      # emerg alert crit err warning notice info debug
      facility: local1                   # another than the plugin's
      template: "{Channel} on {server_name}: {Cause-txt}"
      show: [Channel, Cause, Uniqueid]   # headers that go along; or none
      limit: 20/min                      # or 5/s, 1000/day, none
    - events: ContactStatus              # no line for these, from no rule
      headers: {AOR: "softphone-*"}
      log: no

- A template's fields are names of headers (in any case), ``{server_name}`` and
  ``{server_id}``; a header that is missing or empty reads ``-``. Without a template
  the text is ``event=Hangup server=pbx1 Channel=... Cause-txt="Normal Clearing"``.
- Without ``show`` all headers but Event and Privilege go along.
- ``AMIConnection`` is the name for changes of our connection to a server, with the
  headers ``State`` (connected, disconnected, refused) and ``Reason``.
- A rule sends at most ``limit`` lines, by default 100 in each minute. What it
  holds back is told at the end of that minute: ``57 lines suppressed``.

**All settings**, with their defaults where they have one::

    - syslog_events:
        to: local                  # /dev/log
        facility: local0
        app_name: amiws-gevent
        hostname: gw.example.com   # this machine's name
        enterprise: 32473          # the number behind ami@; yours, if you have one at IANA
        defaults: yes              # the rules out of the box
        rules: []
        limit: 100/min             # of each rule that has none
        line_limit: 2048           # bytes of a line; with tcp and tls 8192
        bom: yes                   # RFC 5424's mark before a text that is not ASCII
        framing: octet-counted     # of tcp and tls (RFC 6587, RFC 5425); or lf
        queue_lines: 10000         # what may wait for a receiver; past it the oldest go
        queue_size: 4 MiB
        ssl_ca: /etc/ssl/logs-ca.pem   # in the place of the system's authorities
        ssl_verify: yes
        ssl_server_name: logs.example.com    # if the certificate has another name
        ssl_fingerprint: "AB:CD:..."         # SHA-256; replaces authority and name
        ssl_cert: /etc/amiws/logs.pem        # ours, if the receiver wants one
        ssl_key: /etc/amiws/logs.key

Relative paths of ``ssl_`` files count from the folder of the configuration file. A socket's path in
``to`` begins with ``/``.

**When the receiver is away** lines wait, and go when it is back; past the bounds the oldest
are dropped. No line is ever sent twice: what was handed to a connection that then broke
is not sent again. Both are counted, in the log and in a line to the receiver
(MSGID ``Lost``). With UDP, which tells little, lines sent into the void are lost. SIGHUP
connects anew, to the host's address and with the files of TLS as they are then.

**rsyslog on the local socket** takes RFC 5424 apart only if told to, and else keeps
the whole line as text (as systemd's journal does)::

    module(load="imuxsock" SysSock.UseSpecialParser="off" SysSock.ParseHostname="on")

and for TCP and TLS ``imtcp`` or ``imptcp`` as they are; octet counting is on by default. In
syslog-ng it is ``unix-dgram("/dev/log" flags(syslog-protocol))`` and ``syslog(...)``.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence

import gevent

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins import PluginContext, ServerInfo
from amiws_gevent.plugins.kit import Outbox

from .rfc5424 import LARGEST_SEQUENCE, Format, Parameters
from .rules import CONNECTION, Rule, RuleBook, first_fit
from .sender import Sender
from .settings import Settings
from .tls import handshake
from .transports import Datagrams, Stream, Transport, line_feed, octet_counted
from .units import SEVERITIES

FLUSH_TIME = 1.0
"""Seconds for lines that wait when the plugin ends."""


class Plugin:
    """One receiver."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._now = now
        self._sequence = 0
        self._sender: Sender | None = None

    def amiws_settings(self) -> type[Settings]:
        """The settings described above."""
        return Settings

    def amiws_startup(self, context: PluginContext) -> None:
        """Make the rules ready and begin to connect."""
        settings: Settings = context.settings
        self._settings = settings
        self._book = RuleBook(settings, self._clock)
        self._rules_of = self._book.of_event
        self._format = Format(
            settings.hostname or socket.gethostname(),
            settings.app_name,
            os.getpid(),
            settings.longest_line,
            settings.bom,
        )
        self._spawn = context.spawn
        if settings.to.kind == "tls" and not (settings.ssl_verify or settings.ssl_fingerprint):
            context.log.warning(
                "%s: its certificate is not checked (ssl_verify: no); anyone between can "
                "read and change lines",
                settings.to,
            )
        self._sender = Sender(
            make_transport(settings),
            Outbox(settings.queue_lines, settings.queue_size),
            where=settings.to,
            tell_loss=self._loss_line,
            log=context.log,
            clock=self._clock,
            count_lost=context.losses.add,
        )
        context.spawn(self._sender.run)

    def amiws_shutdown(self) -> None:
        """Tell what was suppressed, send what waits."""
        if self._sender is None:  # the start-up was refused
            return
        for rule in self._book.rules:
            self._tell_suppressed(rule)
        self._sender.stop(FLUSH_TIME)

    def amiws_reload(self) -> None:
        """Connect anew: the host may have moved, files of TLS may be others."""
        if self._sender is not None:
            self._sender.reconnect()

    def amiws_log_message(self, message: Message, server: ServerInfo, json: bytes) -> None:
        """Make a line of an event that a rule fits."""
        if message.kind is not Kind.EVENT:
            return
        # Nearly always the first header; message.name would fold the names of all.
        name, value = message.headers[0]
        rules = self._rules_of[str(value) if name == "Event" else message.name]
        if rules:
            self._log(rules, message, server)

    def amiws_server_changed(self, server: ServerInfo, state: str, reason: str) -> None:
        """Make a line of a connection that was lost, refused or is there again."""
        headers = {"Event": CONNECTION, "State": state, "Reason": reason}
        self._log(self._book.of_connection, Message(Kind.EVENT, headers), server)

    def _log(self, rules: Sequence[Rule], message: Message, server: ServerInfo) -> None:
        rule = first_fit(rules, message, server)
        if rule is None:
            return
        if not rule.limiter.allow():
            if rule.limiter.suppressed == 1:
                self._spawn(self._summarize, rule)
            return
        parameters = rule.parameters(message)
        text = rule.text(message, server, parameters, self._format.text_room)
        ours = [("server", server.name), ("server_id", str(server.id)), ("rule", rule.name)]
        self._send(rule.priority, message.name, ours, parameters, text)

    def _send(
        self,
        priority: int,
        message_id: str,
        ours: Parameters,
        theirs: Parameters,
        text: str,
    ) -> None:
        assert self._sender is not None
        self._sender.put(self._line(priority, message_id, ours, theirs, text))

    def _line(
        self, priority: int, message_id: str, ours: Parameters, theirs: Parameters, text: str
    ) -> bytes:
        self._sequence = self._sequence % LARGEST_SEQUENCE + 1
        number = self._settings.enterprise
        elements = (
            ("meta", [("sequenceId", str(self._sequence))]),
            (f"amiws@{number}", ours),
            (f"ami@{number}", theirs),
        )
        return self._format.line(priority, self._now(), message_id, elements, text)

    def _summarize(self, rule: Rule) -> None:
        """Runs as a greenlet from the first line held back to the end of the time span."""
        gevent.sleep(max(rule.limiter.ends - self._clock(), 0))
        self._tell_suppressed(rule)

    def _tell_suppressed(self, rule: Rule) -> None:
        count = rule.limiter.take()
        if not count:
            return
        text = f"{count} lines suppressed: rule {rule.name} has a limit of {rule.limiter.rate}"
        ours = [("rule", rule.name), ("suppressed", str(count))]
        priority = rule.facility * 8 + SEVERITIES["warning"]
        self._send(priority, "Suppressed", ours, (), text)

    def _loss_line(self, dropped: int, uncertain: int) -> bytes:
        text = (
            f"{dropped} lines were dropped while the receiver was away, "
            f"{uncertain} more may be lost on the way"
        )
        ours = [("dropped", str(dropped)), ("uncertain", str(uncertain))]
        priority = self._settings.facility * 8 + SEVERITIES["warning"]
        return self._line(priority, "Lost", ours, (), text)


def make_transport(settings: Settings) -> Transport:
    """What `Settings.to` says, not yet open."""
    target = settings.to
    if not target.stream:
        return Datagrams(target)
    frame = octet_counted if settings.framing == "octet-counted" else line_feed
    if target.kind == "tcp":
        return Stream(target, frame)
    return Stream(target, frame, lambda sock: handshake(sock, target.host, settings))
