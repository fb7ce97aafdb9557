"""The metrics of queues and trunks; docs/operations.md has a row for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from amiws_gevent.metrics.measured import SERVER_LABELS, Values
from amiws_gevent.metrics.tallies import MEMBER_STATES, OTHERS, QueueTally, Tally, TrunkTally

Read = Callable[[Tally], Iterator[Values]]
"""The labels' values behind those of the server, and the sample's."""


class TallyFamily(NamedTuple):
    """One metric of what is counted for each server; as `measured.Family`."""

    name: str
    help: str
    labels: tuple[str, ...]
    read: Read


def _by_queue(read: Callable[[QueueTally], float]) -> Read:
    def values(tally: Tally) -> Iterator[Values]:
        for name, queue in tally.queues.items():
            yield (name,), read(queue)

    return values


def _counted_by_queue(read: Callable[[QueueTally], float]) -> Read:
    """For counters. OTHERS has none: their sum goes down when one of these queues goes."""
    of_all = _by_queue(read)

    def values(tally: Tally) -> Iterator[Values]:
        return (found for found in of_all(tally) if found[0] != (OTHERS,))

    return values


def _member_states(tally: Tally) -> Iterator[Values]:
    for name, queue in tally.queues.items():
        for state in MEMBER_STATES:
            yield (name, state), queue.states[state]


def _service_level(tally: Tally) -> Iterator[Values]:
    if tally.queues:
        yield (), tally.service_level


def _by_trunk(read: Callable[[TrunkTally], float | None]) -> Read:
    def values(tally: Tally) -> Iterator[Values]:
        for name, trunk in tally.trunks.items():
            value = read(trunk)
            if value is not None:
                yield (name,), value

    return values


def _registrations(tally: Tally) -> Iterator[Values]:
    for name, down in tally.registrations.items():
        yield (name,), down


_QUEUE = (*SERVER_LABELS, "queue")
_TRUNK = (*SERVER_LABELS, "trunk")

TALLY_FAMILIES = (
    TallyFamily(
        "amiws_queue_waiting_callers",
        "Callers who wait in the queue now.",
        _QUEUE,
        _by_queue(lambda queue: queue.waiting),
    ),
    TallyFamily(
        "amiws_queue_longest_wait_seconds",
        "How long the one has waited who waits longest now; 0 if nobody waits.",
        _QUEUE,
        _by_queue(lambda queue: queue.longest_wait),
    ),
    TallyFamily(
        "amiws_queue_longest_wait_of_day_seconds",
        "The longest wait of today, of callers who were answered or hung up.",
        _QUEUE,
        _by_queue(lambda queue: queue.longest_wait_of_day),
    ),
    TallyFamily(
        "amiws_queue_entered_total",
        "Callers who came into the queue; begins anew each day, as do the next three.",
        _QUEUE,
        _counted_by_queue(lambda queue: queue.entered),
    ),
    TallyFamily(
        "amiws_queue_answered_total",
        "Callers who were connected to a member.",
        _QUEUE,
        _counted_by_queue(lambda queue: queue.answered),
    ),
    TallyFamily(
        "amiws_queue_answered_in_level_total",
        "Callers among them who had waited for queue_service_level at most.",
        _QUEUE,
        _counted_by_queue(lambda queue: queue.answered_in_level),
    ),
    TallyFamily(
        "amiws_queue_abandoned_total",
        "Callers who hung up while they waited.",
        _QUEUE,
        _counted_by_queue(lambda queue: queue.abandoned),
    ),
    TallyFamily(
        "amiws_queue_service_level_seconds",
        "The time within which a caller should be answered (queue_service_level).",
        SERVER_LABELS,
        _service_level,
    ),
    TallyFamily(
        "amiws_queue_members",
        "Members of the queue, by the state of their device.",
        (*_QUEUE, "state"),
        _member_states,
    ),
    TallyFamily(
        "amiws_queue_members_paused",
        "Members who are paused, whatever the state of their device.",
        _QUEUE,
        _by_queue(lambda queue: queue.paused),
    ),
    TallyFamily(
        "amiws_queue_members_free",
        "Members who could take a call now: idle and not paused.",
        _QUEUE,
        _by_queue(lambda queue: queue.free),
    ),
    TallyFamily(
        "amiws_trunk_down",
        "1 if the server cannot reach the trunk, or does not know that it can, else 0.",
        _TRUNK,
        _by_trunk(lambda trunk: trunk.down),
    ),
    TallyFamily(
        "amiws_trunk_calls",
        "Calls that came or went through the trunk, and are not over.",
        _TRUNK,
        _by_trunk(lambda trunk: trunk.calls),
    ),
    TallyFamily(
        "amiws_trunk_latency_seconds",
        "How long the trunk took to answer when the server asked it last (qualify).",
        _TRUNK,
        _by_trunk(lambda trunk: trunk.latency),
    ),
    TallyFamily(
        "amiws_registration_down",
        "1 if the server is not registered with the carrier, else 0.",
        (*SERVER_LABELS, "registration"),
        _registrations,
    ),
)
