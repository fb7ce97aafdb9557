"""The settings of `syslog_events`, checked as far as can be without a connection."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from amiws_gevent.plugins import AnyPath, PluginSettings, SettingError, Size
from amiws_gevent.plugins.kit import Fingerprint

from .._matching import Names, Servers, Values, one_or_more, written_as
from .._template import Template
from .tls import check_name, make_context
from .units import FACILITIES, SEVERITIES, Rate, Target, facility, rate, severity, target

DATAGRAM_LIMIT = 2048
"""Bytes of a line: what RFC 5424, section 6.1, wants receivers to take."""
STREAM_LIMIT = 8192
"""What rsyslog and syslog-ng take as they are installed (8 and 64 KiB)."""


def _template(text: str) -> str:
    Template(text)
    return text


def _header_names(value: object, names: ValidatorFunctionWrapHandler) -> tuple[str, ...]:
    if isinstance(value, str) and value.strip().lower() == "none":
        return ()
    found: tuple[str, ...] = names(value)
    return found


def _name_of(names: dict[str, int]) -> PlainSerializer:
    return PlainSerializer({code: name for name, code in names.items()}.get)


Severity = Annotated[int, BeforeValidator(severity), _name_of(dict(SEVERITIES))]
Facility = Annotated[int, BeforeValidator(facility), _name_of(dict(FACILITIES))]
Limit = Annotated[Rate, BeforeValidator(rate), PlainSerializer(str)]
To = Annotated[Target, BeforeValidator(target), PlainSerializer(str)]
RuleName = Annotated[
    str,
    written_as(r"[A-Za-z0-9_.-]{0,32}", "at most 32 letters (A to Z, a to z), digits, _, . or -"),
]
AppName = Annotated[
    str, written_as(r"[!-~]{1,48}", "1 to 48 printable ASCII characters without spaces")
]
HostName = Annotated[
    str, written_as(r"[!-~]{0,255}", "at most 255 printable ASCII characters without spaces")
]
Enterprise = Annotated[
    str,
    written_as(
        r"(?=.{1,20}\Z)[0-9]+(\.[0-9]+)*",
        "a number, or numbers joined by dots, of at most 20 characters",
    ),
]


class RuleSettings(PluginSettings):
    """Which events become lines, and what these look like."""

    name: RuleName = Field(
        "",
        description="Names the rule in its lines; without one it is rule1, rule2 ... by its place.",
    )
    events: Names = Field(
        description="Names or globs; AMIConnection: changes of the connection to a server."
    )
    servers: Servers = Field((), description="Names, globs or ids; all by default.")
    headers: dict[str, Values] = Field(
        {}, description="Header names (or globs) and what a value must be; all must fit."
    )
    log: bool = Field(
        True, description="no: these events give no line, and no later rule is asked."
    )
    severity: Severity = Field(SEVERITIES["notice"], description="emerg to debug, or 0 to 7.")
    facility: Facility | None = Field(
        None, description="Facility of this rule, if not the plugin's."
    )
    template: Annotated[str, AfterValidator(_template)] | None = Field(
        None,
        min_length=1,
        description="The text, with {Header}, {server_name}, {server_id}; without one: key=value.",
    )
    show: Annotated[Names, WrapValidator(_header_names)] | None = Field(
        None,
        description="Headers that go along as structured data (and as key=value), or none; "
        "without it all but Event and Privilege.",
    )
    limit: Limit | None = Field(None, description="Limit of this rule, if not the plugin's.")


class Settings(PluginSettings):
    """Sizes are bytes, and take units (``4 MiB``)."""

    to: To = Field(
        Target("local", "/dev/log"),
        description="local, the path of a socket, or udp://HOST, tcp://HOST or tls://HOST, "
        "each with :PORT if it is not 514 (tls: 6514).",
    )
    facility: Facility = Field(FACILITIES["local0"], description="kern to local7.")
    app_name: AppName = Field("amiws-gevent", description="The program's name in each line.")
    hostname: HostName = Field("", description="By default this machine's name.")
    enterprise: Enterprise = Field(
        "32473",
        description="The number after @ in SD-IDs: yours at IANA; 32473 is for documentation.",
    )
    defaults: bool = Field(
        True, description="Whether the rules that come with the plugin are asked."
    )
    rules: Annotated[tuple[RuleSettings, ...], BeforeValidator(one_or_more)] = Field(
        (), description="Your rules, asked before the default ones; the first that fits wins."
    )
    limit: Limit = Field(
        Rate(100, 60), description="Most lines of each rule: 100/min, 5/s, 1000/day, or none."
    )
    line_limit: Size | None = Field(
        None, ge=480, le=65000, description="Most bytes of a line; 2048, with tcp and tls 8192."
    )
    bom: bool = Field(True, description="Mark messages that are not ASCII as UTF-8 (RFC 5424).")
    framing: Literal["octet-counted", "lf"] = Field(
        "octet-counted",
        description="How tcp and tls tell lines apart: octet-counted or lf.",
    )
    queue_lines: int = Field(
        10_000, ge=10, le=1_000_000, description="Most lines that wait; the oldest are dropped."
    )
    queue_size: Size = Field(
        4 << 20, ge=128 << 10, le=1 << 30, description="Most bytes of lines that wait."
    )
    ssl_ca: AnyPath | None = Field(
        None, description="Authorities (PEM) to trust instead of the system's."
    )
    ssl_verify: bool = Field(True, description="Check the receiver's certificate and name.")
    ssl_server_name: str | None = Field(
        None, min_length=1, description="The name in its certificate, if it is not the host."
    )
    ssl_fingerprint: Fingerprint | None = Field(
        None, description="SHA-256 of its certificate; replaces the check of authority and name."
    )
    ssl_cert: AnyPath | None = Field(None, description="Our certificate (PEM), if it wants one.")
    ssl_key: AnyPath | None = Field(None, description="The key of ssl_cert.")

    @property
    def longest_line(self) -> int:
        """``line_limit``, or what is usual for the target."""
        return self.line_limit or (STREAM_LIMIT if self.to.stream else DATAGRAM_LIMIT)

    @model_validator(mode="after")
    def _rule_names_differ(self) -> Self:
        names = [rule.name for rule in self.rules if rule.name]
        for name in names:
            if names.count(name) > 1:
                raise SettingError("rules", f"two rules have the name {name}")
        return self

    @model_validator(mode="after")
    def _tls_fits_together(self) -> Self:
        """As --check is to find what the start would stumble over."""
        if self.to.kind != "tls":
            given = sorted(key for key in self.model_fields_set if key.startswith("ssl_"))
            if given:
                raise SettingError(given[0], f"only for a target tls://…, not {self.to}")
            return self
        for key, other in (("ssl_cert", "ssl_key"), ("ssl_key", "ssl_cert")):
            if getattr(self, key) is not None and getattr(self, other) is None:
                raise SettingError(key, f"needs {other} too; give both or neither")
        context = make_context(self)
        where = "to" if self.ssl_server_name is None else "ssl_server_name"
        try:
            check_name(context, self.ssl_server_name or self.to.host)
        except ValueError as error:
            raise SettingError(where, str(error)) from None
        return self
