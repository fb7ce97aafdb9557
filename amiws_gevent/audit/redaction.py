"""What an audit may keep of an action: its headers without secrets.

What is a secret is told by names: of headers, of variables and of settings of Asterisk. A value
that is one becomes REMOVED. Names are told by their words, so that ``AuthSecret``, ``sip_password``
and ``VOICEMAIL_PIN`` are found, and ``Monkey`` and ``Pinning`` are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

REMOVED = "[removed]"

Arguments = Mapping[str, str | list[str]]
"""By name as the client wrote it, in order; a list where a header repeats."""

# Anywhere in a name; nothing else is called so.
_PARTS = re.compile(
    r"secret|passw|passphrase|passcode|credential|authoriz|md5_?cred|api_?key|private_?key",
    re.IGNORECASE,
)
# Whole words of a name.
_WORDS = frozenset(["pwd", "pin", "pins", "token", "auth", "otp", "cvv", "cvc", "key", "keys"])
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_DATABASE = ("dbget", "dbput", "dbdel", "dbdeltree", "dbgettree")
# What callers type may be a PIN or the number of a card.
_DIGITS = {"playdtmf": frozenset(("digit",)), "senddtmf": frozenset(("digits",))}
# Applications whose first argument is a password.
_PASSWORD_FIRST = frozenset(("authenticate", "disa", "vmauthenticate", "senddtmf"))
# `set VARIABLE value`, `database put FAMILY KEY value`: what follows a secret's name in a command.
_COMMAND_WORD = re.compile(r'"[^"]*"|\S+')


def is_secret_name(name: str) -> bool:
    """Whether what stands under this name is a secret: ``Secret``, ``sip_password``, ``PIN``."""
    if _PARTS.search(name):
        return True
    return any(word.lower() in _WORDS for word in _WORD.findall(name))


def redacted(action: str, headers: Iterable[tuple[str, str]]) -> Arguments:
    """The headers of an action but for its name, without secrets.

    ``headers`` are in the order in which the server gets them; the action is known by ``action``.
    """
    listed = [pair for pair in headers if pair[0].lower() != "action"]
    hidden = _Hidden(action.lower(), listed)
    made: dict[str, str | list[str]] = {}
    for name, value in listed:
        kept = hidden.value(name, value)
        before = made.get(name)
        if before is None:
            made[name] = kept
        elif isinstance(before, list):
            before.append(kept)
        else:
            made[name] = [before, kept]
    return made


class _Hidden:
    """What is to be hidden in one action, which may depend on its other headers."""

    def __init__(self, action: str, headers: Sequence[tuple[str, str]]) -> None:
        self._action = action
        self._by_name = {name.lower(): value for name, value in headers}

    def value(self, name: str, value: str) -> str:
        folded = name.lower()
        if folded in ("variable", "setvar"):
            return _variables(value)
        if folded == "command" and self._action == "command":
            return _command(value)
        return REMOVED if value and self._hides(folded, name) else value

    def _hides(self, folded: str, name: str) -> bool:
        if folded == "actionid":
            return False
        if self._action in _DATABASE:  # Family and Key name an entry, Val is what it holds
            return folded == "val" and self._names_secret("family", "key")
        if folded in _DIGITS.get(self._action, ()):
            return True
        if folded == "value" and self._names_secret("variable"):
            return True
        if folded.startswith(("value-", "match-")):  # of UpdateConfig
            return self._names_secret(f"var-{folded.partition('-')[2]}")
        if folded in ("data", "appdata"):
            return self._by_name.get("application", "").strip().lower() in _PASSWORD_FIRST
        return is_secret_name(name)

    def _names_secret(self, *headers: str) -> bool:
        return any(is_secret_name(self._by_name.get(header, "")) for header in headers)


def _variables(text: str) -> str:
    """``NAME=value,NAME2=value2`` (with ``|`` before Asterisk 1.6), secrets removed."""
    # A value may hold a comma, so the pair ends where the next name and its = begin.
    pairs = re.split(r"([,|])(?=[^,|=]*=)", text)
    return "".join(map(_variable, pairs))


def _variable(pair: str) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}={REMOVED}" if equals and value and is_secret_name(name) else pair


def _command(text: str) -> str:
    """A command of the console: what follows a word that names a secret is removed."""
    for found in _COMMAND_WORD.finditer(text):
        name, equals, value = found[0].strip('"').partition("=")
        if not is_secret_name(name):
            continue
        if equals and value:
            return f"{text[: found.start()]}{name}={REMOVED}"
        rest = text[found.end() :]
        if rest.strip():
            return f"{text[: found.end()]} {REMOVED}"
    return text
