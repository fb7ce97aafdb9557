"""Who comes back with a position: what of that which he missed can be told."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from amiws_gevent.feeds.encoding import EVENTS, FILTERS, FUTURE, UNKNOWN
from amiws_gevent.feeds.history import History, Replay
from amiws_gevent.feeds.positions import Place, Positions, Vector
from amiws_gevent.feeds.shown import Flushed
from amiws_gevent.feeds.subscriber import Subscriber


def resume(
    subscriber: Subscriber,
    text: str,
    positions: Positions,
    history: History,
    told_again: Collection[int] = (),
) -> bool:
    """Have a new subscriber go on at a position; whether it misses nothing.

    What cannot be told is told as a gap, and then as the newest state. Of the servers
    ``told_again`` all the state is told.
    """
    # Another process that shows the same streams may have made the position.
    subscriber.group.position_of(subscriber.transport)
    place = positions.decode(text, subscriber.group.key)
    if place is None:
        for stream in sorted(subscriber.group.streams):
            subscriber.tell_gap(stream, UNKNOWN)
        subscriber.begin()
        return False
    whole = _resume_events(subscriber, place, history)
    return _resume_state(subscriber, place, told_again) and whole


def is_ahead(
    place: Place,
    events: Vector,
    history: History,
    shown: Mapping[int, Flushed],
    told_again: Collection[int],
) -> bool:
    """Whether somebody at a place has been told, in streams of here, what has not come here.

    ``events`` has the epochs of these.
    """
    return any(
        history.since(server, now.epoch, place.events.get(server)).reason == FUTURE
        for server, now in events.items()
    ) or any(
        one.epoch == position.epoch and one.store.offset < position.offset
        for server, position in place.state.items()
        if server not in told_again and (one := shown.get(server)) is not None
    )


def _resume_events(subscriber: Subscriber, place: Place, history: History) -> bool:
    group = subscriber.group
    if group.view is None:
        return True
    here = group.events_of(subscriber.transport)
    assert here is not None, "a pass does not serve who has just come"
    vector = {}
    whole = True
    for server, now in here.items():
        position = place.events.get(server)
        if position is None and place.events and place.same_filters:  # it came since
            position = now._replace(offset=0)
        since = history.since(server, now.epoch, position, group.sight)
        vector[server] = since.position
        if since.reason is not None:
            whole = False
            subscriber.tell_gap(EVENTS, since.reason, server=server)
    subscriber.replay = Replay(history, group.view.filters, vector, group.sight)
    return whole


def _resume_state(subscriber: Subscriber, place: Place, told_again: Collection[int]) -> bool:
    view = subscriber.group.state
    if view is None:
        return True
    since = {
        server: position._replace(offset=0) if server in told_again else position
        for server, position in place.state.items()
    }
    reason = view.why_not(since) if place.same_filters else FILTERS
    if reason is None:
        subscriber.begin_at(since)
        return True
    subscriber.begin_anew(reason)
    return False
