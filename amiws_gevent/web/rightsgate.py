"""Who may open which WebSocket: the classic one shows all of a server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from amiws_gevent.identity import Identity
from amiws_gevent.plugins.api import Headers, RequestInfo
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.web.logins import LOG_INTERVAL
from amiws_gevent.web.verdict import Verdict, refusal, shown

SUBPROTOCOL = "amiws.v2"

Refusal = Callable[[Identity], str]
"""Why a client may not have the classic socket; empty: it may."""

_log = logging.getLogger("amiws_gevent.web.gate")


class _Upgrades(Protocol):
    def check_upgrade(self, request: RequestInfo) -> Verdict: ...


class RightsGate:
    """A gate for upgrades: first ``gate``, then whether the rights allow the classic socket."""

    def __init__(self, gate: _Upgrades, refusal_of: Refusal) -> None:
        self._gate = gate
        self._refusal_of = refusal_of
        self._limiter = LogLimiter(LOG_INTERVAL)

    def check_upgrade(self, request: RequestInfo) -> Verdict:
        """As that of ``gate``; 403 with the reason where roles do not allow it.

        On ``amiws.v2`` everybody gets what is seen, which may be nothing.
        """
        verdict = self._gate.check_upgrade(request)
        if verdict.status != 200 or offers_v2(request.headers):
            return verdict
        identity = verdict.grant.identity(request.address)
        reason = self._refusal_of(identity)
        if not reason:
            return verdict
        self._limiter.log(
            _log,
            logging.WARNING,
            "rights",
            "WebSocket of address=%s user=%s refused with 403: %s",
            request.address,
            shown(identity.user or ""),
            reason,
        )
        return refusal(403, reason)


def offers_v2(headers: Headers) -> bool:
    """Whether a client offers our subprotocol; others are passed over, as amiws does."""
    offered = headers.get("Sec-WebSocket-Protocol") or ""
    return SUBPROTOCOL in map(str.strip, offered.split(","))
