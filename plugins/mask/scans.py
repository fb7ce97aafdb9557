"""Finds what is to be masked inside of longer texts: numbers, cards, variables, callers' names.

All expressions here take time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from amiws_plugins._matching import MAX_MATCHED, NameSet, Remembered

from amiws_gevent.masking.headers import UNSAID
from amiws_gevent.masking.numbers import is_number
from amiws_gevent.masking.styles import Mask

_DIGIT_GROUPS = re.compile(r"\d++(?:[ -]\d++)*+")
_DIGITS = re.compile(r"\d+")
_NO_DIGITS = re.compile(r"\D+")
_WRITTEN_NUMBER = re.compile(r"[\d+ ().*#/-]+")
_FIRST_OF_CARDS = "23456"
_CARD_LENGTHS = range(13, 20)
_CARD_GROUPS = 6  # groups of digits that a card number is written in, at most

# NAME=value and FUNCTION(argument)=value, wherever the name begins a word.
_ASSIGNMENT = re.compile(r"(?<![\w.-])([A-Za-z_][\w.-]*+(?:\([^()\n]*+\))?)[ \t]*+=")
_AGI_ASSIGNMENT = re.compile(r"(?<!\w)SET[ \t]++VARIABLE[ \t]++\"?([^\s\"]++)\"?[ \t]++", re.I)

# What `core show channel` and the like say of callers.
_LABELLED = re.compile(
    r"^([ \t]*+(?:Eff\. )?(?:Caller ?ID|Connected Line ID)( Name)?[ \t]*+: ?)(.*)$",
    re.IGNORECASE | re.MULTILINE,
)


def digits_of(mask: Mask) -> Mask:
    """For hashes: ``+1 (514) 555-0199`` gives what ``15145550199`` does."""

    def masked(value: str) -> str:
        written = _WRITTEN_NUMBER.fullmatch(value)
        return mask(_NO_DIGITS.sub("", value) or value) if written else mask(value)

    return masked


def cards(mask: Mask) -> Mask:
    """Masks card numbers: 13 to 19 digits with a valid check digit (ISO/IEC 7812).

    Single blanks or dashes between groups of digits are part of a number. One
    that stands among other groups of digits is found too.
    """

    def found(groups: re.Match[str]) -> str:
        text = groups[0]
        if len(text) < _CARD_LENGTHS.start:
            return text
        places = [group.span() for group in _DIGITS.finditer(text)]
        result, done, index = "", 0, 0
        while index < len(places):
            last = _last_of_card(text, places, index)
            if last is not None:
                start, end = places[index][0], places[last][1]
                result += text[done:start] + mask(text[start:end])
                done, index = end, last
            index += 1
        return result + text[done:]

    def masked(text: str) -> str:
        return _DIGIT_GROUPS.sub(found, text) if len(text) >= _CARD_LENGTHS.start else text

    return masked


def _last_of_card(text: str, places: Sequence[tuple[int, int]], first: int) -> int | None:
    """The last of the groups from ``first`` on that are a card number together."""
    digits = ""
    last = None
    if text[places[first][0]] not in _FIRST_OF_CARDS:
        return None
    for index in range(first, min(first + _CARD_GROUPS, len(places))):
        start, end = places[index]
        if len(digits) + end - start >= _CARD_LENGTHS.stop:
            break
        digits += text[start:end]
        if len(digits) in _CARD_LENGTHS and is_luhn(digits):
            last = index
    return last


def is_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


class Variables:
    """Which variables are masked, and how; the first that fits a name counts.

    ``masks`` are the names and what makes the mask for one of them; ``text`` stands
    for what of a line is not clearly one value.
    """

    def __init__(
        self, masks: Sequence[tuple[NameSet, Callable[[str], Mask]]], text: str = "***"
    ) -> None:
        self._masks = masks
        self._text = text
        self._known = Remembered(self._mask_of, 4096, longest=256)

    def mask_of(self, name: str) -> Mask | None:
        """The mask of a variable's value; None: it is not masked."""
        return self._known[name]

    def _mask_of(self, name: str) -> Mask | None:
        # SetVar inherits with _ and __; GLOBAL(PIN), SHARED(PIN,channel) and the like set PIN.
        plain = name.strip().lstrip("_")
        function, _, arguments = plain.removesuffix(")").partition("(")
        inner = [argument.strip().lstrip("_") for argument in arguments.split(",")]
        for names, mask in self._masks:
            if any(names.fits(called) for called in (plain, function, *inner) if called):
                return mask(plain)
        return None

    def within(self, text: str) -> str:
        """A text with the values of assignments masked, each up to the end of its line."""
        if ("=" in text or "VARIABLE" in text.upper()) and self._found(text):
            return "\n".join(map(self._line, text.split("\n")))
        return text

    def _found(self, text: str) -> list[tuple[int, int, Mask]]:
        """Assignments of variables that are masked: where their values and they begin."""
        return [
            (place.end(), place.start(), mask)
            for expression in (_ASSIGNMENT, _AGI_ASSIGNMENT)
            for place in expression.finditer(text)
            if (mask := self.mask_of(place[1])) is not None
        ]

    def _line(self, line: str) -> str:
        found = self._found(line)
        if not found:
            return line
        end, start, mask = min(found, key=lambda place: place[0])
        is_one_value = start == 0 and len(found) == 1
        return line[:end] + (mask(line[end:]) if is_one_value else self._text)


def name_and_number(name: Mask, number: Mask) -> Mask:
    """For ``"Name" <number>``, or one of them alone."""

    def masked(value: str) -> str:
        text = value.strip()
        if value.lower() in UNSAID:
            return value
        if not (text.endswith(">") and "<" in text):
            covered = value if is_number(text) else name(value)
            return number(value) if covered == value else covered
        called, _, dialled = text[:-1].rpartition("<")
        called = called.strip()
        is_quoted = len(called) > 1 and called[0] == called[-1] == '"'
        covered = f'"{name(called[1:-1])}"' if is_quoted else name(called)
        return f"{covered} <{number(dialled)}>".lstrip()

    return masked


def caller_name(mask: Mask) -> Mask:
    """A value that is a caller's name; what says that there is none stays."""
    return lambda value: value if value.lower() in UNSAID else mask(value)


def labelled(name: Mask, both: Mask) -> Mask:
    """Masks what follows ``Caller ID:``, ``Connected Line ID Name:`` … in command output."""

    def found(line: re.Match[str]) -> str:
        label, is_name, value = line.groups()
        return label + (name if is_name else both)(value)

    return lambda text: _LABELLED.sub(found, text) if "ID" in text.upper() else text


def matched(expression: re.Pattern[str], mask: Mask, too_long: str, *, luhn: bool) -> Mask:
    """Masks what an operator's expression finds in each line: its group, if it has one.

    An expression is not trusted with a line of more than `MAX_MATCHED` characters:
    all of it becomes ``too_long``.
    """

    def found(match: re.Match[str]) -> str:
        group = 1 if expression.groups and match[1] is not None else 0
        part = match[group]
        if not part or (luhn and not is_luhn(_NO_DIGITS.sub("", part) or "1")):
            return match[0]
        start, end = (place - match.start() for place in match.span(group))
        return match[0][:start] + mask(part) + match[0][end:]

    def line(text: str) -> str:
        return expression.sub(found, text) if len(text) <= MAX_MATCHED else too_long

    return lambda text: "\n".join(map(line, text.split("\n")))


def own_callers(text: str, found: Sequence[tuple[str, str]], rest: Mask) -> str:
    """A text with the message's own callers masked as in their headers, all else by ``rest``.

    ``found`` are pairs of what a header held and what it holds now, longest first. The work is
    their number times the text and the places where they stand in it; the caller bounds both.
    """
    for index, (original, masked) in enumerate(found):
        if original in text:
            parts = text.split(original)
            return masked.join(own_callers(part, found[index + 1 :], rest) for part in parts)
    return rest(text)
