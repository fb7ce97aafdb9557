"""What is common to the settings of all shipped plugins, as an operator meets it in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.ami import Message
from amiws_gevent.plugins import ServerInfo
from amiws_gevent.testing import PluginHarness, event
from tests.support import config
from tests.support.certificates import make_certificate

PBX1 = ServerInfo(1, "pbx1", False)
BERLIN = ServerInfo(7, "Berlin, HQ", False)


def settings(folder: Path, name: str, lines: str) -> Any:
    """The settings of a plugin with these lines under its name."""
    (entry,) = config.load(folder, under(name, lines)).settings.plugins
    return entry.settings


def wrong(folder: Path, name: str, lines: str) -> list[str]:
    """What is said of these lines: the first is number 3; the plugin is P, the folder gone."""
    return [
        told.replace(f"plugins[0].{name}", "P").replace(f"{folder}/", "")
        for told in config.problems(folder, under(name, lines))
    ]


def under(name: str, lines: str) -> str:
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    return f"plugins:\n- {name}:\n{indented}{config.ONE_HOST}"


# Servers

SERVERS = [
    ("event_filter", "rules:\n- deny: '*'\n  {}", "rules"),
    ("mask", "rules:\n- headers: A\n  {}", "rules"),
    ("syslog_events", "rules:\n- events: A\n  {}", "rules"),
    ("journal", "folder: log\n{}", None),
    ("webhook", "url: http://h/\n{}", None),
]


@pytest.mark.parametrize(("name", "lines", "within"), SERVERS, ids=[name for name, *_ in SERVERS])
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("pbx1", ("pbx1",)),
        ("7", ("7",)),
        ("a, b-*", ("a", "b-*", "a, b-*")),
        ("[pbx1, 7]", ("pbx1", "7")),
        ("['Berlin, HQ', 7]", ("Berlin", "HQ", "7", "Berlin, HQ")),
    ],
)
def test_servers_are_named_alike(
    tmp_path: Path, name: str, lines: str, within: str | None, written: str, expected: tuple[str]
) -> None:
    made = settings(tmp_path, name, lines.format(f"servers: {written}"))
    assert (getattr(made, within)[0] if within else made).servers == expected


@pytest.mark.parametrize("key", ["server", "servers"])
@pytest.mark.parametrize("written", ["Berlin, HQ", "7", "b*", "other, 7"])
def test_the_older_name_of_servers(key: str, written: str) -> None:
    rule = {key: written}
    with PluginHarness("event_filter", {"rules": [{"deny": "A", **rule}]}) as plugin:
        assert plugin.feed(event("A", Privilege="call,all"), server=PBX1) != []
        assert plugin.feed(event("A", Privilege="call,all"), server=BERLIN) == []
    with PluginHarness("mask", {"rules": [{"headers": "X", **rule}]}) as plugin:
        message = event("A", X="secret")
        assert plugin.feed(message, server=PBX1) == [message]
        assert plugin.feed(message, server=BERLIN) == [event("A", X="***")]


def test_one_rule_needs_no_list() -> None:
    with PluginHarness("event_filter", {"rules": {"deny": "A"}}) as plugin:
        assert plugin.feed(event("A", Privilege="call,all")) == []
    with PluginHarness("mask", {"rules": {"headers": "X"}}) as plugin:
        masked: list[Message] = plugin.feed(event("A", X="secret"))
        assert masked == [event("A", X="***")]


# Paths


def test_relative_paths_count_from_the_folder_of_the_start(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "h")
    (tmp_path / "key").write_text("0123456789abcdef")
    journal = settings(tmp_path, "journal", "folder: log")
    assert journal.folder == tmp_path / "log"
    mask = settings(tmp_path, "mask", "callers: hash\nkey_file: key")
    assert mask.key_file == tmp_path / "key"
    webhook = settings(tmp_path, "webhook", "url: https://h/\nsecret_file: key\nssl_ca: ca.pem")
    assert (webhook.secret_file, webhook.ssl_ca) == (tmp_path / "key", made.ca)
    assert webhook.signing_key().texts() == ["0123456789abcdef"]
    cert, key = made.cert.name, made.key.name
    syslog = settings(
        tmp_path, "syslog_events", f"to: tls://h\nssl_ca: ca.pem\nssl_cert: {cert}\nssl_key: {key}"
    )
    assert (syslog.ssl_ca, syslog.ssl_cert, syslog.ssl_key) == (made.ca, made.cert, made.key)


@pytest.mark.parametrize(
    ("name", "lines", "told"),
    [
        ("journal", "folder: none/log", "3: P.folder: {0}/none/log cannot be created: there is no"),
        ("mask", "cards: hash\nkey_file: a/k", "4: P.key_file: {0}/a/k: No such file"),
        ("webhook", "url: http://h/\nsecret_file: a/k", "4: P.secret_file: {0}/a/k: No such file"),
        ("webhook", "url: https://h/\nssl_ca: ca.pem", "4: P.ssl_ca: {0}/ca.pem: cannot be used"),
        ("syslog_events", "to: tls://h\nssl_ca: ca.pem", "4: P.ssl_ca: {0}/ca.pem: cannot be used"),
    ],
)
def test_an_error_shows_the_whole_path(tmp_path: Path, name: str, lines: str, told: str) -> None:
    (said,) = config.problems(tmp_path, under(name, lines))
    assert said.replace(f"plugins[0].{name}", "P").startswith(told.format(tmp_path))


# What is said of mistakes: line, key, and what to change


@pytest.mark.parametrize(
    ("name", "lines", "told"),
    [
        ("event_filter", "denny: A", "3: P.denny: NO; did you mean deny?"),
        ("event_filter", "deny: A\ndefault: drop", "4: P.default: must be 'allow' or 'deny'"),
        (
            "event_filter",
            "rules: drop",
            "3: P.rules: must be a mapping, lines of `key: value` under it",
        ),
        (
            "event_filter",
            "rules:\n- deny: A\n  srvers: x",
            "5: P.rules[0].srvers: NO; did you mean servers?",
        ),
        (
            "event_filter",
            "rules:\n- deny: A\n  server: x\n  servers: y",
            "5: P.rules[0].server: is another name for servers, which is given",
        ),
        (
            "event_filter",
            "rules:\n- deny: A\n  kind: evnt",
            "5: P.rules[0].kind: must be 'unknown', 'prompt', 'action'",
        ),
        (
            "event_filter",
            "rules:\n- deny: A\n  kind: []",
            "5: P.rules[0].kind: is empty; leave it out to mean events",
        ),
        (
            "event_filter",
            "rules:\n- deny: A\n  headers:\n    B: {exact: x}",
            "6: P.rules[0].headers.B.exact: NO; did you mean is?",
        ),
        (
            "event_filter",
            "rules:\n- deny: A\n  headers: x",
            "5: P.rules[0].headers: must be a mapping",
        ),
        ("mask", "caller: last4\ncards: redact", "3: P.caller: NO; did you mean callers?"),
        ("mask", "cards: hash", "2: P.key_file: is missing: hash needs it"),
        ("mask", "cards: hash\nkey: short", "4: P.key: must have at least 16 characters"),
        ("mask", "rules:\n- headers: [A, Event]", "4: P.rules[0].headers: Event cannot be masked"),
        ("mask", "rules:\n- header: A", "4: P.rules[0].header: NO; did you mean headers?"),
        ("mask", "rules:\n- pattern: a\n  luhn: maybe", "5: P.rules[0].luhn: must be yes or no"),
        ("mask", "cards: redact\nshortest: few", "4: P.shortest: must be a whole number"),
        ("journal", "foldr: x", "2: P.folder: is missing"),
        ("journal", "folder: amiws.yaml", "3: P.folder: amiws.yaml is not a folder"),
        (
            "journal",
            "folder: x\nmax_file_size: 64 Mb/s",
            "4: P.max_file_size: must be a size such as 1048576",
        ),
        ("journal", "folder: x\nmax_file_size: 1 GiB", "2: P.max_total: must be at least 3 times"),
        (
            "journal",
            "folder: x\nprefix: a/b",
            "4: P.prefix: must be 1 to 100 letters (A to Z, a to z), digits, _, . or -, not begin",
        ),
        ("webhook", "url: example.com", "3: P.url: must be a URL that begins with"),
        (
            "webhook",
            "url: http://h/\nsecret: a\nsecret_file: b",
            "5: P.secret_file: and secret: give one of them",
        ),
        (
            "webhook",
            "url: http://h/\nsecret: whsec_s3cret",
            "4: P.secret: must have base64 after whsec_; `openssl rand -base64 32` makes some",
        ),
        ("webhook", "url: http://h/\nssl_verify: no", "4: P.ssl_verify: is for a url with https"),
        (
            "webhook",
            "url: http://h/\nretry_delay: 5 min",
            "2: P.retry_delay_max: must be at least retry_delay",
        ),
        (
            "webhook",
            "url: http://h/\nbatch_messages: 5\nqueue_messages: 9",
            "5: P.queue_messages: must be at least twice batch_me",
        ),
        (
            "webhook",
            "url: http://h/\nheaders: {Host: x}",
            "4: P.headers: Host is set by the webhook itself",
        ),
        (
            "webhook",
            "url: http://h/\ntimeout: 1 h",
            "4: P.timeout: must be less than or equal to 300",
        ),
        ("syslog_events", "framing: crlf", "3: P.framing: must be 'octet-counted' or 'lf'"),
        ("syslog_events", "ssl_verify: no", "3: P.ssl_verify: only for a target tls://"),
        ("syslog_events", "to: tls://h\nssl_key: a", "4: P.ssl_key: needs ssl_cert too"),
        (
            "syslog_events",
            "rules:\n- events: A\n  server: x",
            "5: P.rules[0].server: NO; did you mean servers?",
        ),
        (
            "syslog_events",
            "rules:\n- events: A\n  name: a b",
            "5: P.rules[0].name: must be at most 32 letters (A to Z, a to z), digits, _, . or -, ",
        ),
        (
            "syslog_events",
            "rules:\n- {events: A, name: x}\n- {events: B, name: x}",
            "3: P.rules: two rules have the name x",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_change(
    tmp_path: Path, name: str, lines: str, told: str
) -> None:
    said = wrong(tmp_path, name, lines)
    told = told.replace("NO", f"is not a setting of the plugin {name}")
    assert any(line.startswith(told) for line in said), said
