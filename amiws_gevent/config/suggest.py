"""What an unknown key was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


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
        advice += f" (in {elsewhere[word]} it is known)"
    return f"unknown key, ignored{advice}"
