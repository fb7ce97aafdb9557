"""Names and globs, and answers that are asked for again and again.

A text with ``*``, ``?`` or ``[`` is a pattern as in file names (glob), any other stands for itself.
``fnmatch`` makes expressions of globs that cannot run away.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

_GLOB_SIGNS = frozenset("*?[")

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


class Remembered(dict[Key, Answer], Generic[Key, Answer]):
    """Answers of a function by their question: ``remembered[key]``.

    Emptied when it holds ``limit`` of them; answers about texts of more than ``longest``
    characters are not kept. What is known costs as much as in a plain dict.
    """

    def __init__(
        self, answer: Callable[[Key], Answer], limit: int, longest: int | None = None
    ) -> None:
        super().__init__()
        self._answer = answer
        self._limit = limit
        self._longest = longest

    def __missing__(self, key: Key) -> Answer:
        answer = self._answer(key)
        if self._longest is not None and isinstance(key, str) and len(key) > self._longest:
            return answer
        if len(self) >= self._limit:
            self.clear()
        self[key] = answer
        return answer


def is_glob(text: str) -> bool:
    """Whether the text is a pattern with wildcards."""
    return not _GLOB_SIGNS.isdisjoint(text)


class NameSet:
    """Names and globs, asked again and again for names that are mostly the same."""

    def __init__(self, names: Iterable[str]) -> None:
        folded = [name.casefold() for name in names]
        self._exact = frozenset(name for name in folded if not is_glob(name))
        globs = [fnmatch.translate(name) for name in folded if is_glob(name)]
        self._globs = re.compile("|".join(globs)) if globs else None
        self._known: Remembered[str, bool] = Remembered(self._fits, 4096)

    def fits(self, name: str) -> bool:
        """Whether one of the names is this one, in any case."""
        return self._known[name]

    def _fits(self, name: str) -> bool:
        folded = name.casefold()
        return folded in self._exact or (
            self._globs is not None and self._globs.match(folded) is not None
        )
