"""The routes of the API. The gate has decided on origin, host and login before.

A request for state, events or an action also asks ``amiws_authorize_client``, as the opening of a
WebSocket does; an action asks ``amiws_authorize_action`` besides.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flask
import orjson
from werkzeug.exceptions import MethodNotAllowed, NotFound

from amiws_gevent.access import RightsOf, everything
from amiws_gevent.actions import ActionProblem
from amiws_gevent.api.models import (
    FILTERS,
    MOST,
    AuditQuery,
    EntityQuery,
    EventQuery,
    NoQuery,
    StateQuery,
    body_of,
    query_of,
)
from amiws_gevent.api.openapi import document
from amiws_gevent.api.operations import EVENT_STREAM, JSON, KEY_HEADER, OPERATIONS, PREFIX
from amiws_gevent.api.page import POLICY, page
from amiws_gevent.api.problems import Problem
from amiws_gevent.api.streams import Streams
from amiws_gevent.api.waiting import Actions, act
from amiws_gevent.audit.trail import Trail
from amiws_gevent.feeds.encoding import to_json
from amiws_gevent.feeds.feed import NoState
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.feeds.filters import ATTRIBUTES, FilterError, Filters
from amiws_gevent.identity import DIGEST, PROXY
from amiws_gevent.plugins.api import ClientInfo, RequestInfo
from amiws_gevent.policy import Rights, Sight
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.v2.codes import RequestError
from amiws_gevent.v2.requests import load_object
from amiws_gevent.web.app import request_info
from amiws_gevent.web.codings import compress
from amiws_gevent.web.hangup import ENVIRON_KEY as HANGUP
from amiws_gevent.web.loginwatch import LoggedOut
from amiws_gevent.web.verdict import Grant

AuthorizeClient = Callable[[RequestInfo, str | None], str | None]
"""Why a request is refused; None: it may go on."""

LogOut = Callable[[Grant, RequestInfo], LoggedOut]
"""Ends the session of a login."""

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")

ENTITIES_PER_TURN = 500  # made JSON before others have their turn

_VIEW = "http"  # of the clients of what is no stream


@dataclass(frozen=True)
class Api:
    """What the program gives the API; `blueprint` makes its routes for each application."""

    feeds: Feeds
    actions: Actions
    streams: Streams
    audit: Trail
    rights_of: RightsOf = everything
    """Asked with each request, and again by ``use_rights``."""

    def use_rights(self) -> None:
        """Roles or users may be others: streams show what their clients see by now."""
        self.streams.use_sights(lambda client: self.rights_of(client.identity).sight)

    def blueprint(
        self,
        authorize: AuthorizeClient,
        log_out: LogOut,
        *,
        stream_limit: int,
        compression: bool = True,
    ) -> flask.Blueprint:
        """New routes. ``stream_limit``: bytes that may wait for a stream."""
        made = flask.Blueprint("amiws_api", __name__, url_prefix=PREFIX)
        views = _Views(self, authorize, log_out, stream_limit)
        for operation in OPERATIONS:
            view = getattr(views, operation.id)
            made.add_url_rule(operation.rule, operation.id, view, methods=[operation.method])
            allowed = {operation.method, "HEAD"} if operation.method == "GET" else {"POST"}
            refuse = functools.partial(_refuse_method, sorted(allowed))
            others = [method for method in METHODS if method not in allowed]
            made.add_url_rule(operation.rule, f"{operation.id}_else", refuse, methods=others)
        # Else files of web_root would be looked for.
        made.add_url_rule("/<path:rest>", "none", _refuse_path, methods=METHODS)
        if compression:
            made.after_request(compress)
        made.register_error_handler(Problem, Problem.response)
        made.register_error_handler(ActionProblem, _of_action)
        made.register_error_handler(RequestError, _of_request)
        made.register_error_handler(FilterError, _of_filter)
        made.register_error_handler(NoState, _of_state)
        return made


@dataclass(frozen=True)
class _Views:
    """One method for each operation, of its name."""

    api: Api
    authorize: AuthorizeClient
    log_out: LogOut
    stream_limit: int

    def me(self) -> flask.Response:
        user = self._authorize()
        query_of(NoQuery, _parameters())
        identity = flask.g.identity
        rights = self._rights().describe()
        return _json({"user": user, "kind": identity.kind, "address": identity.address, **rights})

    def servers(self) -> flask.Response:
        self._authorize()
        query_of(NoQuery, _parameters())
        return self._list("server", Filters(), MOST, None)

    def entities(self, kind: str) -> flask.Response:
        self._authorize()
        query = query_of(EntityQuery, _parameters())
        if kind not in ATTRIBUTES:
            kinds = ", ".join(ATTRIBUTES)
            raise Problem("unknown_kind", f"there is no kind {kind[:40]!r}; there are {kinds}")
        return self._list(kind, _filters(query), query.limit, query.next or None)

    def state(self) -> flask.Response:
        return self._stream("state", StateQuery)

    def events(self) -> flask.Response:
        return self._stream("events", EventQuery)

    def actions(self) -> flask.Response:
        user = self._authorize()
        given = _body()
        body_of(given)
        key = flask.request.headers.get(KEY_HEADER)
        if key is not None:
            given["idempotency_key"] = key
        replies = act(self.api.actions, given, _client(user, _VIEW), _watch())
        return _json({"replies": replies})

    def logout(self) -> flask.Response:
        """No plugin is asked whether somebody may leave."""
        _body()  # which no form can send
        if flask.g.identity.kind not in (DIGEST, PROXY):
            raise Problem("bad_request", "this login has no session that could end")
        done = self.log_out(flask.g.grant, request_info(flask.request.environ))
        # Not the cookie of the login that this request may have made.
        flask.g.headers = [pair for pair in flask.g.headers if pair[0] != "Set-Cookie"]
        response = _json({"logout_url": done.url})
        if done.cookie is not None:
            response.headers.add("Set-Cookie", done.cookie)
        return response

    def audit(self) -> flask.Response:
        trail = self.api.audit
        client = _client(flask.g.identity.user, _VIEW)
        try:
            self._authorize()
            self._check_reads_audit(client)
            query = query_of(AuditQuery, _parameters())
            chosen = {"what": query.what, "user": query.user, "action": query.action}
            told = trail.last(query.limit, after=query.after, before=query.before, **chosen)
            self._check_reads_audit(client)  # collectors may have taken seconds
        except Problem as problem:
            if problem.code == "not_allowed":
                trail.read_refused(client, str(problem))
            raise
        if told is None:
            raise Problem("audit_off", "there is no audit trail")
        trail.read(client, {name: value for name, value in chosen.items() if value})
        return _json(told)

    def _check_reads_audit(self, client: ClientInfo) -> None:
        if not self.api.audit.may_read(client.identity):
            raise Problem("not_allowed", "your roles do not allow to see the audit trail")

    def openapi(self) -> flask.Response:
        made = _document(flask.request.environ.get("SCRIPT_NAME", ""))
        return _conditional(flask.Response(made, content_type=JSON))

    def reference(self) -> flask.Response:
        response = flask.Response(_page(), content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return _conditional(response)

    def _authorize(self) -> str | None:
        """The user, whom the plugins have accepted.

        They may decide by the target as it was sent, so a path has one spelling alone.
        """
        user: str | None = flask.g.identity.user
        request = request_info(flask.request.environ)
        path = request.target.partition("?")[0]
        if path.startswith("//") or path != flask.request.environ["PATH_INFO"]:
            raise Problem("not_found", "write the path without %, beginning with one slash")
        refusal = self.authorize(request, user)
        if refusal is not None:
            raise Problem("not_allowed", refusal)
        return user

    def _list(self, kind: str, filters: Filters, limit: int, after: str | None) -> flask.Response:
        """Entities as they are seen by the rights that the client has when they are found."""
        while True:
            sight = self._rights().sight
            response = self._listed(kind, filters, limit, after, sight)
            if sight == self._rights().sight:
                return response

    def _listed(
        self, kind: str, filters: Filters, limit: int, after: str | None, sight: Sight
    ) -> flask.Response:
        made = self.api.feeds.page(filters, kind, limit, after, sight)
        if made is None:
            raise Problem("bad_cursor", "next is not of this list, or was asked for too late")
        items = _list_of(made.items)
        told = {"position": made.position, "items": orjson.Fragment(items), "next": made.next}
        response = _json(told)
        # Weak, since the position moves with each message of a server.
        tag = hashlib.sha256(items + b" " + (made.next or "").encode()).hexdigest()[:32]
        response.set_etag(tag, weak=True)
        return _conditional(response)

    def _stream(self, stream: str, model: type[StateQuery] | type[EventQuery]) -> flask.Response:
        user = self._authorize()
        query = query_of(model, _parameters())
        filters = _filters(query)
        response = flask.Response(content_type=EVENT_STREAM)
        # A proxy must not wait for more, and the connection has no further request.
        response.headers.update(
            {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Connection": "close"}
        )
        if flask.request.method == "HEAD":
            return response
        position = flask.request.headers.get("Last-Event-ID") or query.last_event_id or None
        if position is not None:
            self.api.feeds.catch_up(frozenset({stream}), filters, position)
        if self.api.streams.stopping:
            raise Problem("unavailable", "amiws-gevent is stopping", 5)
        opened = self.api.streams.open(
            _client(user, stream),
            flask.g.grant,
            filters,
            position,
            limit=self.stream_limit,
            watch=_watch(),
            sight=self._rights().sight,
        )
        opened.use_sight(self._rights().sight)  # a reload may have come meanwhile
        response.response = opened
        return response

    def _rights(self) -> Rights:
        """Of who asks, by now."""
        return self.api.rights_of(flask.g.identity)


def _refuse_method(allowed: list[str], **_: str) -> flask.Response:
    raise MethodNotAllowed(allowed)


def _refuse_path(rest: str) -> flask.Response:
    raise NotFound


def _of_action(problem: ActionProblem) -> flask.Response:
    return Problem(problem.code, problem.message, problem.retry_after).response()


def _of_request(error: RequestError) -> flask.Response:
    return Problem(error.code, error.message, error.retry_after).response()


def _of_filter(error: FilterError) -> flask.Response:
    return Problem("bad_filter", str(error)).response()


def _of_state(error: NoState) -> flask.Response:
    return Problem(error.code, str(error)).response()


def _parameters() -> Mapping[str, list[str]]:
    return dict(flask.request.args.lists())


def _filters(query: EntityQuery | StateQuery | EventQuery) -> Filters:
    given = {name: getattr(query, name, []) for name in FILTERS}
    return Filters.parse({name: values for name, values in given.items() if values})


def _body() -> dict[str, Any]:
    """The JSON object that was sent; raises Problem and RequestError.

    Another type is refused, so that no form and no script without CORS can send one.
    """
    request = flask.request
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != JSON or charset != "utf-8":
        raise Problem("unsupported_media_type", f"the body must be {JSON}, in UTF-8")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem("unsupported_media_type", "the body must not be compressed")
    try:
        text = request.get_data(cache=False).decode()
    except UnicodeDecodeError:
        raise RequestError("bad_json", "the body is not UTF-8") from None
    except OSError:  # also of a client that has left, which gets it no more
        raise Problem("request_timeout", "the body was not whole in time") from None
    return load_object(text)


def _client(user: str | None, view: str) -> ClientInfo:
    return ClientInfo(flask.g.identity.address, user, view, flask.g.identity.kind)


def _watch() -> Any:
    return flask.request.environ.get(HANGUP)


def _list_of(items: Sequence[Mapping[str, Any]]) -> bytes:
    """The JSON of entities, made in pieces of a millisecond."""
    pieces = []
    for start in range(0, len(items), ENTITIES_PER_TURN):
        if start:
            yield_to_loop()
        pieces.append(to_json(items[start : start + ENTITIES_PER_TURN])[1:-1])
    return b"[%s]" % b",".join(pieces)


def _json(value: object) -> flask.Response:
    response = flask.Response(orjson.dumps(value) + b"\n", content_type=JSON)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _conditional(response: flask.Response) -> flask.Response:
    """304 if the client has it. Weak tags fulfil no ``If-Match``, so that is passed over."""
    response.add_etag(weak=True)  # the same compressed
    known = flask.request.headers.get("If-None-Match", "")
    response.make_conditional({"REQUEST_METHOD": flask.request.method, "HTTP_IF_NONE_MATCH": known})
    return response


@functools.lru_cache(8)  # proxies have few names for us
def _document(prefix: str) -> bytes:
    return json.dumps(document(prefix), indent=1).encode() + b"\n"


@functools.cache
def _page() -> bytes:
    return page(document()).encode()
