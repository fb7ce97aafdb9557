"""What the parts of the model have in common: each knows a few kinds of entities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from amiws_gevent.ami import Message
from amiws_gevent.state.store import Store

Steps = Iterator[None]
"""Work that may be long, in steps. Between two of them others may run, and events may come; whoever
goes on then calls `Model.begin` first. A step takes as long for a long list as for a short one.
It may also end between two steps: the next list puts right what was left."""

Headers = dict[str, str]
"""The first value of each header of an event by its name (`Message.values`); not to be changed.

A dict, as are the fields of an entity: in what mypyc knows to be one, it looks up at once."""

TakeNews = Callable[[Headers], None]
TakeEvent = Callable[[Message], None]
TakeList = Callable[[Sequence[Message], int], Steps]


class Part:
    """Takes the events and lists of some kinds of entities, and keeps these in the store.

    ``now`` is the time of the read that is being taken: UTC, milliseconds, by the clock of
    this program. It is set by the model before anything is called.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = 0

    @property
    def news(self) -> Mapping[str, TakeNews]:
        """What is done with each event that no list has as an item, by its folded name."""
        return {}

    @property
    def events(self) -> Mapping[str, TakeEvent]:
        """What is done with each of the other events, by its folded name.

        Lists have items with these names (ParkedCall, ExtensionStatus); it does not get those.
        """
        return {}

    @property
    def lists(self) -> Mapping[str, TakeList]:
        """What is done with each whole list, by the folded name of the action.

        It gets the items, and the offset at which the action was sent. The list may be
        older than what came since, and newer than what came before it: only what was there
        at that offset, and was not made again since, may be removed for not being in it; and
        what was removed since then must not come back. "Since" goes on between the steps.
        """
        return {}

    def tick(self) -> None:
        """Time has passed, and nothing was said."""

    def reset(self) -> Steps:
        """Nothing of before is known to be so any more."""
        return iter(())
