"""Suggestions for unknown keys and names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from amiws_gevent.ami.eventnames import EVENT_NAMES
from amiws_gevent.values import shown

SHORTEST_PART = 3  # letters of a name; less is in too many of them


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that ``word`` is a slip of, or None when none is near."""
    names = {name.casefold(): name for name in known}
    plain = word.casefold().replace("-", "_").replace(" ", "_")
    close = difflib.get_close_matches(plain, names, n=1, cutoff=0.6)
    return names[close[0]] if close else None


def unknown_key(word: str, known: Iterable[str], elsewhere: Mapping[str, str]) -> str:
    """The warning for a key that means nothing where it stands.

    ``elsewhere`` has the keys of other places, each with the name of its place.
    """
    meant = nearest(word, known)
    advice = f'; did you mean "{meant}"?' if meant else ""
    if word in elsewhere:
        advice += f" (it is a key of {elsewhere[word]})"
    return f"unknown key, ignored{advice}"


def unknown_event(name: str) -> str | None:
    """The warning for a name of ``event_names`` that Asterisk has no event for; else None.

    amiws lets an event pass whose name is somewhere in the text, so that ``Hangupp`` is as
    good as ``Hangup`` to it; others write a part of the names that they mean.
    """
    word = name.casefold()
    if any(word == known.casefold() for known in EVENT_NAMES):
        return None
    message = f"{shown(name)} is not an event of Asterisk, and only whole names match"
    wider = [known for known in EVENT_NAMES if word in known.casefold()]
    if wider and len(word) >= SHORTEST_PART:
        return f"{message}; for all events with it in their name write {', '.join(wider)}"
    meant = nearest(name, EVENT_NAMES)
    if meant is not None:
        return f'{message}; did you mean "{meant}"?'
    narrower = [known for known in EVENT_NAMES if known in name]
    if narrower:
        return f"{message}; in amiws it lets {', '.join(narrower)} pass"
    return f"{message}; another module of Asterisk may have it"
