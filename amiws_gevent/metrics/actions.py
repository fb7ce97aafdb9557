"""Metrics of what clients send, and of the audit trail."""

from __future__ import annotations

from collections.abc import Iterator

from amiws_gevent.actions import OUTCOMES
from amiws_gevent.actions.limits import ADDRESS as OF_ADDRESS
from amiws_gevent.actions.limits import AT_WORK, RATE, USER
from amiws_gevent.metrics.measured import Family, Measured, Values


def _limited_actions(measured: Measured) -> Iterator[Values]:
    for limit in (RATE, AT_WORK):
        for by in (USER, OF_ADDRESS):
            yield (limit, by), measured.action_limits.refused[limit, by]


def _replies(measured: Measured) -> Iterator[Values]:
    for outcome in OUTCOMES:
        yield (outcome,), measured.actions.outcomes[outcome]


FAMILIES = (
    Family(
        "amiws_actions_sent_total",
        "Actions of clients that were sent, counted once for each server.",
        (),
        lambda measured: measured.dispatcher.sent + measured.actions.sent,
    ),
    Family(
        "amiws_actions_refused_total",
        "Actions of clients that were answered with an error instead of being sent.",
        (),
        lambda measured: measured.dispatcher.refused + measured.actions.not_sent,
    ),
    Family(
        "amiws_actions_limited_total",
        "Actions that were refused because a user or an address sent too many.",
        ("limit", "by"),
        _limited_actions,
    ),
    Family(
        "amiws_action_replies_total",
        "Replies to actions of clients that wait for one, one for each server, by outcome.",
        ("outcome",),
        _replies,
    ),
    Family(
        "amiws_actions_pending",
        "Actions of these clients that a server has not answered yet.",
        (),
        lambda measured: measured.actions.at_work,
    ),
    # The audit trail
    Family(
        "amiws_audit_records_total",
        "Records that were written to the audit trail.",
        (),
        lambda measured: measured.audit.counts[0],
    ),
    Family(
        "amiws_audit_failing",
        "Whether the audit trail cannot be written now (1 or 0).",
        (),
        lambda measured: bool(measured.audit.outage),
    ),
    Family(
        "amiws_audit_pending_records",
        "Records that are not written yet.",
        (),
        lambda measured: measured.audit.waiting,
    ),
    Family(
        "amiws_audit_refused_actions_total",
        "Actions that were not sent because their records could not be written.",
        (),
        lambda measured: measured.audit.counts[1],
    ),
    Family(
        "amiws_audit_lost_records_total",
        "Records that the audit trail does not have, because it could not be written for long.",
        (),
        lambda measured: measured.audit.counts[2],
    ),
)
