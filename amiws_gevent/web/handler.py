"""One HTTP connection: reads its requests within limits, and upgrades it to a WebSocket.

gevent's handler sends the answers and gevent-websocket's does the handshake. This module
reads each request head whole, within a time and a size, and checks it strictly by RFC 9112
before anything uses it. It asks the gate about an upgrade before the 101, so that a refusal
is an HTTP answer and the client can try again on the same connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from socket import SHUT_RDWR
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import WSGIEnvironment

import gevent
from gevent.pywsgi import Input
from geventwebsocket.handler import WebSocketHandler
from greenlet import getcurrent

from amiws_gevent.web.admission import ADDRESS, Arrival, Evicted
from amiws_gevent.web.app import ENVIRON_KEY
from amiws_gevent.web.connection import (
    RETRY_LATER,
    HeadTooLarge,
    Reader,
    answer_and_close,
    hang_up,
    peer_names,
    raw_socket,
    refusal_bytes,
)
from amiws_gevent.web.extensions import Agreement, agree
from amiws_gevent.web.gate import Headers, RequestInfo, Verdict
from amiws_gevent.web.handshake import handshake_refusal, refusal
from amiws_gevent.web.hangup import ENVIRON_KEY as HANGUP
from amiws_gevent.web.hangup import Hangup
from amiws_gevent.web.problem import MONITORING_PATHS, is_api
from amiws_gevent.web.proxies import Way
from amiws_gevent.web.requesthead import (
    LONGEST_BODY,
    LONGEST_REQUEST_LINE,
    RequestError,
    body_length,
    check,
    lines_of,
    parse,
    path_of,
    stays_open,
    tokens,
)
from amiws_gevent.web.rightsgate import SUBPROTOCOL, offers_v2
from amiws_gevent.web.site import SLOW_POLICIES, Site
from amiws_gevent.web.verdict import NOBODY
from amiws_gevent.web.websocket import WebSocketClient

_TLS_HANDSHAKE = 0x16  # the first byte of a TLS record with a ClientHello

_log = logging.getLogger("amiws_gevent.web")
_library_log = logging.getLogger("amiws_gevent.web.gevent_websocket")


class ConnectionHandler(WebSocketHandler):  # type: ignore[misc]  # gevent-websocket has no types
    """Serves one connection until it ends or is upgraded; then ``client`` is set."""

    # Attributes that the base classes set, as far as they are used here.
    socket: Any
    rfile: Reader
    headers: Headers
    environ: Any
    websocket: Any
    close_connection: bool
    content_length: int | None

    def __init__(self, sock: Any, address: Any, server: Any) -> None:
        self.site: Site = server.site
        super().__init__(sock, address, server, rfile=Reader(sock, self.site.clock))
        self.host, self.peer = peer_names(address)
        self.client: WebSocketClient | None = None
        self.arrival: Arrival | None = None
        self.idle = True  # between two requests: a stop does not wait for it
        self._served = 0
        self._for_api = False  # the request that is being read or answered
        self._peer_gone = False
        self._way = Way(self.host, "http")
        self._counted = self.host  # the address that the connection is counted under
        self._prefix = ""  # the path that was taken from the target
        self._grant = NOBODY
        self._subprotocol: str | None = None
        self._agreement: Agreement | None = None
        self._on_101: list[tuple[str, str]] = []

    def abort(self, reason: str) -> None:
        """Cut the connection off, from another greenlet."""
        _log.debug("%s: connection aborted: %s", self.peer, reason)
        with suppress(OSError):  # gone already
            raw_socket(self.socket).shutdown(SHUT_RDWR)

    # Requests

    def handle_one_request(self) -> bool | None:
        """True when there may be another one; pywsgi's contract."""
        try:
            more = self._serve_one()
        finally:
            if self.client is None:
                self._count_for_peer()
        if more:
            gevent.sleep(0)  # others get a turn between two requests
            return True
        if (
            self.socket is not None
        ):  # not upgraded; pywsgi would close it without TLS's close notice
            hang_up(self.socket)
        return None

    def _serve_one(self) -> bool:
        """Answer the next request; whether another may follow."""
        try:
            head = self._receive_head()
            if not head:
                return False
            self.site.pacer.wait()
            self._parse_head(head)
            self._count_for(self._way.address)
            self._ask_for_body()
        except RequestError as error:
            self._refuse(error)
            return False
        except OSError as error:
            _log.debug("%s: %s", self._name, error)
            return False
        self.environ = self.get_environ()
        self.application = self.site.app
        self.handle_one_response()
        return not self.close_connection and not self.rfile.closed

    def _count_for(self, address: str) -> None:
        """Count the connection for the client of this request, whom a proxy may have brought."""
        if address == self._counted:
            return
        if self.server.admission.move(self._counted, address, self.site.limits):
            self._counted = address
            return
        self.site.counts.refused_connections[ADDRESS] += 1
        self.server.warn_of_refusal(ADDRESS, address, address)
        raise RequestError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "there are too many connections from your address (limits.connections_per_address)",
            RETRY_LATER,
        )

    def _count_for_peer(self) -> None:
        """Between two requests it is the proxy's own."""
        if self._counted != self.host:
            self.server.admission.move(self._counted, self.host)
            self._counted = self.host

    @property
    def _name(self) -> str:
        """The client as the log names it: with its port, unless a proxy has brought it."""
        return self._way.address if self._way.proxy else self.peer

    def _receive_head(self) -> bytes:
        """The next request head; empty if the client sends none."""
        try:
            return self._wait_for_head()
        except Evicted:
            if self.idle:  # it has asked for nothing
                return b""
            self.rfile.closed = False  # its input is still usable
            raise RequestError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too many connections have sent no complete request (limits.handshakes)",
                RETRY_LATER,
            ) from None
        finally:
            if self.arrival is not None:
                self.server.admission.arrived(self.arrival)
                self.arrival = None

    def _wait_for_head(self) -> bytes:
        reader, limits, clock = self.rfile, self.site.limits, self.site.clock
        self.idle = True
        self._for_api = False
        reader.deadline = clock() + (limits.idle_time if self._served else limits.header_time)
        try:
            first = reader.wait()
        except TimeoutError:
            return b""
        if first < 0:
            return b""
        self.idle = False
        self._served += 1
        if self.arrival is None:
            self.arrival = self.server.begin_arrival()
            self.arrival.greenlet = getcurrent()
        if first == _TLS_HANDSHAKE:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                "this port does not use TLS: use http:// or ws://, or set ssl_cert",
            )
        reader.deadline = clock() + limits.header_time
        try:
            head: bytes = reader.read_head(limits.header_size)
        except HeadTooLarge as error:
            self._note_target(error.begin.decode("latin-1"))
            raise RequestError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the request head is longer than {limits.header_size} bytes",
            ) from None
        except TimeoutError:
            raise RequestError(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the request head took longer than {limits.header_time:g} s",
            ) from None
        return head

    def _parse_head(self, data: bytes) -> None:
        lines = lines_of(data)
        self._note_target(lines[0])
        self.requestline = lines[0][:LONGEST_REQUEST_LINE]
        head = parse(lines)
        self.command, self.request_version, self.headers = head.method, head.version, head.headers
        self._prefix, self.path = self._split_target(head.target)
        scheme: Any = self.server.environ["wsgi.url_scheme"]
        self._way = self.site.proxies.way(self.host, scheme, self.headers)
        check(head, self.path)
        most = self.site.limits.client_message if self._for_api else LONGEST_BODY
        self.content_length = body_length(head.headers, most)
        self.close_connection = not stays_open(head)

    def _split_target(self, target: str) -> tuple[str, str]:
        """The prefix of the path if it begins with that, and the target below it."""
        prefix = self.site.path_prefix
        rest = target.removeprefix(prefix)
        if not prefix or rest == target or rest[:1] not in ("/", "?", ""):
            return "", target
        if not rest.startswith("/"):  # else links of the page would lead beside it
            raise RequestError(
                HTTPStatus.PERMANENT_REDIRECT,
                f"the pages are at {prefix}/",
                ("Location", f"{prefix}/{rest}"),
            )
        return prefix, rest

    def _note_target(self, line: str) -> None:
        """Whether the request is for the API: its errors have another form, from here on."""
        words = line[:LONGEST_REQUEST_LINE].split(" ")
        target = words[1] if len(words) > 1 else ""
        prefix = self.site.path_prefix
        if prefix and target.startswith(f"{prefix}/"):
            target = target.removeprefix(prefix)
        self._for_api = is_api(path_of(target))

    def _ask_for_body(self) -> None:
        """Answer ``Expect: 100-continue`` (RFC 9110, section 10.1.1); bodies are small."""
        if self.content_length and "100-continue" in tokens(self.headers.get("Expect", "")):
            self.socket.settimeout(self.site.limits.idle_time)
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def get_environ(self) -> WSGIEnvironment:
        """WSGI's view of the request, and ours under ``amiws.request``."""
        environ: WSGIEnvironment = self.server.get_environ()
        way = self._way
        prefix = self._prefix or way.prefix
        environ.update(
            {
                "wsgi.url_scheme": way.scheme,
                "SCRIPT_NAME": prefix,
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path_of(self.path) or "/",
                "QUERY_STRING": self.path.partition("?")[2],
                "REQUEST_URI": self._prefix + self.path,
                "SERVER_PROTOCOL": self.request_version,
                "REMOTE_ADDR": way.address,
                ENVIRON_KEY: RequestInfo(
                    method=self.command,
                    target=self.path,
                    headers=self.headers,
                    scheme=way.scheme,
                    address=way.address,
                    prefix=prefix,
                    proxy=way.proxy,
                ),
            }
        )
        for name in self.headers:
            if "_" in name:  # WSGI could not tell it from the one with a hyphen
                continue
            key = name.replace("-", "_").upper()
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = "HTTP_" + key
            separator = "; " if name == "cookie" else ", "
            environ[key] = separator.join(self.headers.getall(name))
        self.rfile.deadline = self.site.clock() + self.site.limits.header_time
        self.wsgi_input = Input(self.rfile, self.content_length)  # type: ignore[arg-type]  # has its read and readline
        environ["wsgi.input"] = self.wsgi_input
        environ[HANGUP] = partial(Hangup, self.socket)
        environ["wsgi.input_terminated"] = True
        return environ

    # Answers

    def finalize_headers(self) -> None:
        """Add ``Connection: close`` if it is closed; pywsgi does not in HTTP/1.1."""
        super().finalize_headers()
        self.close_connection = self.close_connection or self.site.stopping
        if self.close_connection and self.code != HTTPStatus.SWITCHING_PROTOCOLS:
            names = [name.lower() for name, _ in self.response_headers]
            if b"connection" not in names:
                self.response_headers.append((b"Connection", b"close"))

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """As WSGI has it; a 101 also gets the headers of the gate and the subprotocol."""
        if status.startswith("101 "):
            headers = [*headers, *self._on_101]
        return super().start_response(status, headers, exc_info)  # type: ignore[no-any-return]

    def handle_error(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Log an exception of the app with its traceback, unless the client has left."""
        if self._peer_gone or self.rfile.closed or not isinstance(error, Exception):
            self.close_connection = True
            _log.debug("%s: the client left during %r: %s", self._name, self.requestline, error)
            return
        _log.error("request %r failed", self.requestline, exc_info=error)
        self._send_error_response_if_possible(HTTPStatus.INTERNAL_SERVER_ERROR)

    def log_request(self) -> None:
        """The access log; neither Authorization nor Cookie is in a request line."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(
                '%s %s "%s" %s %d bytes %.3f s',
                self._name,
                self._grant.user or (self.environ or {}).get("REMOTE_USER") or "-",
                self.requestline,
                self.code,
                self.response_length,
                self.time_finish - self.time_start,
            )

    @property
    def logger(self) -> logging.Logger:
        """Where gevent-websocket logs; its own would change the logging of the process."""
        return _library_log

    def _sendall(self, data: bytes) -> None:
        self.socket.settimeout(self.site.limits.idle_time)
        try:
            super()._sendall(data)
        except OSError:
            self._peer_gone = True
            raise

    def _refuse(self, error: RequestError) -> None:
        """Answer a bad request, and close once the client had time to read the answer."""
        _log.debug("%s: %d %s", self._name, error.status, error)
        answer = refusal_bytes(error.status, str(error), *error.headers, api=self._for_api)
        answer_and_close(self.socket, self.rfile, answer)

    # The upgrade

    def upgrade_websocket(self) -> list[bytes] | None:
        """Ask the gate, then make the handshake; None leaves the request to Flask."""
        environ = self.environ
        asked = "websocket" in tokens(self.headers.get("Upgrade", ""))
        if not asked or self.command != "GET":
            return None
        path = environ["PATH_INFO"]
        if is_api(path) or path in MONITORING_PATHS:
            return None
        verdict = self._check_upgrade(environ[ENVIRON_KEY])
        if verdict.status != HTTPStatus.OK:
            status = HTTPStatus(verdict.status)
            self.site.counts.refused_upgrades[status] += 1
            length = ("Content-Length", str(len(verdict.body)))
            self.start_response(f"{status:d} {status.phrase}", [*verdict.headers, length])
            return [verdict.body]
        self._grant = verdict.grant
        self._on_101 = list(verdict.headers)
        self._offer_subprotocol()
        self._agree_on_compression()
        self.upgrade_connection()  # gevent-websocket's: the 101, and a WebSocket object
        self._leave_websocket()
        return None

    def _offer_subprotocol(self) -> None:
        """Select ours if the client offers it.

        Others are ignored, as amiws does, although a browser then closes the connection
        (RFC 6455, section 4.1): a client that offers any must offer ours.
        """
        if offers_v2(self.environ[ENVIRON_KEY].headers):
            self._subprotocol = SUBPROTOCOL
            self._on_101.append(("Sec-WebSocket-Protocol", SUBPROTOCOL))

    def _agree_on_compression(self) -> None:
        """Accept what the client offers, if it can be done and is allowed."""
        if self.site.compression:
            self._agreement = agree(self.headers.getall("Sec-WebSocket-Extensions"))
        if self._agreement is not None:
            self._on_101.append(("Sec-WebSocket-Extensions", self._agreement.header))

    def _leave_websocket(self) -> None:
        """Drop the WebSocket object that comes with the handshake.

        It refers to this handler, which would make a cycle. Unless marked closed, it sends a
        Close frame when it is freed.
        """
        self.environ.pop("wsgi.websocket").closed = True
        self.websocket = None

    def _check_upgrade(self, request: RequestInfo) -> Verdict:
        if self.site.stopping:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "amiws-gevent is stopping.", RETRY_LATER)
        verdict = self.site.gate.check_upgrade(request)
        if verdict.status != HTTPStatus.OK:
            return verdict
        wrong = handshake_refusal(
            request.headers, version=self.request_version, has_body=bool(self.content_length)
        )
        return wrong or verdict

    def _slow_policy(self) -> str:
        """The policy for a slow client: the one in its query string, or that of the settings."""
        asked = dict(parse_qsl(self.environ["QUERY_STRING"])).get("slow", "").lower()
        return asked if asked in SLOW_POLICIES else self.site.slow_clients

    def run_websocket(self) -> None:
        """Pass the connection to a WebSocketClient, which a new greenlet serves."""
        self.client = WebSocketClient(
            self.socket,
            self.rfile,
            address=self._name,
            grant=self._grant,
            connection=self._counted,
            subprotocol=self._subprotocol,
            agreement=self._agreement,
            limits=self.site.limits,
            make_source=self.site.source_of(self._slow_policy(), self._grant.user),
            spread=self.site.drains.call,
            clock=self.site.clock,
        )
        self.rfile.deadline = None
        self.socket.settimeout(None)
        self.socket = None
