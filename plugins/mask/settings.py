"""What may stand under ``mask:``, and what is wrong with it."""

from __future__ import annotations

import re
from typing import Annotated, Self

from amiws_plugins._matching import Expression, Names, Servers, one_or_more
from amiws_plugins.mask.styles import StyleWord
from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    model_validator,
)

from amiws_gevent.masking.styles import SHORTENED, Look, Style, style_of
from amiws_gevent.plugins import AnyPath, PluginSettings, SettingError

SHORTEST_KEY = 16
"""Characters. Telephone numbers are few enough to try them all, so that the key must not be."""

PROTECTED = frozenset({"event", "response", "actionid"})
"""Headers that stay: they say what a message is and which client asked for it."""


def _action(value: object) -> object:
    word = str(value).strip().lower()
    if word in ("redact", "remove", "hash", "keep") or SHORTENED.fullmatch(word):
        return word
    raise ValueError("must be redact, remove, hash, keep, or what to show: last4, first2 …")


def _fill(value: str) -> str:
    if len(value) != 1 or value.isalnum() or not value.isprintable():
        raise ValueError("must be one character that is neither a letter nor a digit")
    return value


class RuleSettings(PluginSettings):
    """One rule: which headers or variables, of which messages, and what is done."""

    headers: Names = Field(default=(), description="Header names or globs.")
    variables: Names = Field(default=(), description="Names of variables, or globs.")
    events: Names = Field(
        default=(), description="Only of these events: names or globs. Without it: all messages."
    )
    servers: Servers = Field(
        default=(),
        validation_alias=AliasChoices("servers", "server"),
        description="Only of these servers: names, globs or ids.",
    )
    action: Annotated[str, BeforeValidator(_action)] | None = Field(
        default=None, description="redact (default), remove, hash, keep, lastN or firstN."
    )
    keep_first: int | None = Field(default=None, ge=0, le=99, description="Characters shown.")
    keep_last: int | None = Field(default=None, ge=0, le=99, description="Characters shown.")
    pattern: Expression | None = Field(
        default=None,
        description="A regular expression: only what it finds is masked, or its group.",
    )
    ignore_case: bool = Field(default=False, description="Whether the pattern ignores case.")
    luhn: bool = Field(
        default=False, description="Only what has a valid check digit, as card numbers have."
    )
    text: str | None = Field(default=None, description="Stands for a redacted value.")

    @model_validator(mode="after")
    def _is_one_rule(self) -> Self:
        if self.headers and self.variables:
            raise ValueError("must have either headers or variables: write two rules")
        if not (self.headers or self.variables or self.pattern):
            raise ValueError("must say what it masks: headers, variables or a pattern")
        if self.variables and (self.pattern or self.action == "remove"):
            raise ValueError("a rule for variables cannot have a pattern or action: remove")
        for name in self.headers:
            if name.casefold() in PROTECTED:
                message = f"{name} cannot be masked: clients and answers depend on it"
                raise SettingError("headers", message)
        return self

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        shown = (self.keep_first or 0) + (self.keep_last or 0)
        if self.keep_first is not None or self.keep_last is not None:
            if self.action is not None:
                raise ValueError("must have either action or keep_first and keep_last")
            if not shown:
                raise ValueError("keep_first and keep_last are 0: leave them out to redact")
        if self.text is not None and (shown or self.action not in (None, "redact")):
            raise SettingError("text", "needs action: redact")
        if self.pattern is None:
            if self.luhn or self.ignore_case:
                raise ValueError("luhn and ignore_case need a pattern")
        elif self.action == "keep":
            raise ValueError("action: keep is for whole headers, without a pattern")
        elif re.compile(self.pattern).groups > 1:
            message = "has several groups: write (?:…) for all but one"
            raise SettingError("pattern", message)
        return self

    @property
    def removes(self) -> bool:
        """Whether headers (or what a pattern finds) go altogether."""
        return self.action == "remove"

    @property
    def style(self) -> Style:
        """What the rule does with a value, if it does not remove it."""
        if self.keep_first or self.keep_last:
            return Style("shorten", self.keep_first or 0, self.keep_last or 0)
        return style_of("redact" if self.removes else self.action or "redact")


class CallerSettings(PluginSettings):
    """How callers are masked."""

    numbers: StyleWord = Field(default="redact", description="Telephone numbers.")
    names: StyleWord = Field(default="redact", description="Names.")

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = "redact" if SHORTENED.fullmatch(value.strip().lower()) else value
        return {"numbers": value, "names": names}


class Settings(PluginSettings):
    """What stands under ``mask:``."""

    callers: CallerSettings | None = Field(
        default=None, description="Callers' numbers and names, wherever Asterisk puts them."
    )
    dialled: StyleWord | None = Field(default=None, description="Numbers that were dialled.")
    cards: StyleWord | None = Field(
        default=None, description="Card numbers with a valid check digit, in all texts."
    )
    variables: Names = Field(default=(), description="Variables to redact: names or globs.")
    rules: Annotated[tuple[RuleSettings, ...], BeforeValidator(one_or_more)] = Field(
        default=(), description="Rules, asked before the rest, from the top."
    )
    text: str = Field(default="***", description="Stands for a redacted value.")
    fill: Annotated[str, AfterValidator(_fill)] = Field(
        default="*", description="Stands for each hidden character of a shortened value."
    )
    shortest: int = Field(
        default=6, ge=1, le=15, description="Digits of a number; shorter ones are extensions."
    )
    key: SecretStr | None = Field(default=None, description="Key of the hashes.")
    key_file: AnyPath | None = Field(
        default=None, description="File that holds the key and nothing else."
    )
    hash_length: int = Field(default=12, ge=8, le=64, description="Letters of a hash.")

    @model_validator(mode="after")
    def _masks_something(self) -> Self:
        styles = [style_of(word) for word in self.preset_words]
        if all(style.action == "keep" for style in styles) and not (self.variables or self.rules):
            raise ValueError("masks nothing: give callers, dialled, cards, variables or rules")
        styles += [rule.style for rule in self.rules]
        if self.key is not None and self.key_file is not None:
            raise ValueError("must have either key or key_file")
        if any(style.action == "hash" for style in styles) and not (self.key or self.key_file):
            message = "is missing: hash needs it (openssl rand -hex 32 > FILE), or a key"
            raise SettingError("key_file", message)
        self.look()
        return self

    @property
    def preset_words(self) -> list[str]:
        """The styles of all presets that are there."""
        callers = [self.callers.numbers, self.callers.names] if self.callers else []
        return [*callers, *filter(None, (self.dialled, self.cards))]

    def look(self) -> Look:
        """How masks look; reads the key file. Raises ValueError if there is no fit key in it."""
        return Look(self.text, self.fill, self._read_key(), self.hash_length)

    def _read_key(self) -> bytes:
        if self.key is not None:
            key, where = self.key.get_secret_value(), "key"
        elif self.key_file is not None:
            where = "key_file"
            try:
                key = self.key_file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
                raise SettingError("key_file", f"{self.key_file}: {why}") from error
        else:
            return b""
        if len(key) < SHORTEST_KEY:
            raise SettingError(where, f"must have at least {SHORTEST_KEY} characters")
        return key.encode()
