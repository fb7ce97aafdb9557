"""What the settings take, and what they say of what they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from amiws_plugins.syslog_events.settings import RuleSettings, Settings
from amiws_plugins.syslog_events.units import Rate
from pydantic import ValidationError

from tests.support.certificates import Certificate, make_certificate


def problem(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(given)
    (found,) = caught.value.errors(include_url=False, include_input=False)
    where = ".".join(str(part) for part in found["loc"])
    return f"{where}: {found['msg'].removeprefix('Value error, ')}"


def test_nothing_has_to_be_set() -> None:
    settings = Settings()
    assert str(settings.to) == "/dev/log"
    assert settings.longest_line == 2048
    assert settings.limit == Rate(100, 60)
    assert settings.defaults
    assert settings.facility == 16


def test_values_come_as_text() -> None:
    settings = Settings.model_validate(
        {
            "to": "tcp://logs",
            "facility": "daemon",
            "defaults": "no",
            "limit": "5/s",
            "line_limit": "4k",
            "bom": "off",
            "queue_lines": "50",
            "queue_size": "1 MiB",
            "rules": {"events": "A, B", "severity": "err", "log": "yes", "show": "X"},
        }
    )
    assert not settings.defaults
    assert not settings.bom
    assert settings.longest_line == 4096
    assert settings.queue_size == 1 << 20
    (rule,) = settings.rules
    assert rule.events == ("A", "B")
    assert rule.severity == 3
    assert rule.show == ("X",)
    assert rule.limit is None
    assert rule.facility is None


def test_what_is_written_out_can_be_read_in() -> None:
    settings = Settings.model_validate(
        {"to": "udp://[::1]:99", "limit": "none", "rules": [{"events": "A", "limit": "9/h"}]}
    )
    written = settings.model_dump(mode="json", exclude_defaults=True)
    assert written["to"] == "udp://[::1]:99"
    assert written["limit"] == "none"
    assert Settings.model_validate(written) == settings
    assert Settings().model_dump(mode="json")["facility"] == "local0"


def test_streams_take_longer_lines() -> None:
    assert Settings.model_validate({"to": "tcp://logs"}).longest_line == 8192
    assert Settings.model_validate({"to": "udp://logs"}).longest_line == 2048


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"to": "logs"}, "to: must be local, the path of a socket such as /dev/log, or udp://"),
        ({"facility": "128"}, "facility: must be a facility of syslog by name"),
        ({"limit": "many"}, "limit: must be a number of lines in a time, such as 20/min"),
        ({"line_limit": "100"}, "line_limit: Input should be greater than or equal to 480"),
        ({"enterprise": "x"}, "enterprise: must be a number, or numbers joined by dots, of at"),
        ({"enterprise": "1." * 10 + "1"}, "enterprise: must be a number, or numbers joined"),
        ({"hostname": "a b"}, "hostname: must be at most 255 printable ASCII characters without"),
        ({"hostname": "a" * 256}, "hostname: must be at most 255 printable ASCII characters"),
        ({"app_name": ""}, "app_name: must be 1 to 48 printable ASCII characters without spaces"),
        ({"framing": "crlf"}, "framing: Input should be 'octet-counted' or 'lf'"),
        ({"rules": [{}]}, "rules.0.events: Field required"),
        ({"rules": [{"events": "A", "event": "B"}]}, "rules.0.event: Extra inputs"),
        ({"rules": [{"events": ""}]}, "rules.0.events: has an empty name"),
        ({"rules": [{"events": "A", "severity": "bad"}]}, "rules.0.severity: must be a severity"),
        ({"rules": [{"events": "A", "template": "{"}]}, "rules.0.template: has a { without its"),
        (
            {"rules": [{"events": "A", "name": "a b"}]},
            "rules.0.name: must be at most 32 letters",
        ),
        ({"rules": [{"events": "A", "name": "é"}]}, "rules.0.name: must be at most 32 letters"),
        ({"rules": [{"events": "A", "name": "x"}] * 2}, ": rules: two rules have the name x"),
        ({"ssl_verify": "no"}, ": ssl_verify: only for a target tls://…, not /dev/log"),
        ({"to": "tls://x", "ssl_fingerprint": "ab"}, "ssl_fingerprint: must be the SHA-256"),
        ({"to": "tls://x", "ssl_key": "/k"}, ": ssl_key: needs ssl_cert too; give both"),
        ({"to": "tls://x", "ssl_ca": ""}, "ssl_ca: must be a path, not ''"),
        ({"to": "tls://x", "ssl_ca": "/no/ca"}, ": ssl_ca: /no/ca: cannot be used: No such file"),
    ],
)
def test_problems_say_what_to_change(given: dict[str, Any], said: str) -> None:
    assert problem(**given).startswith(said)


@pytest.mark.parametrize("name", [".logs.example", "x" * 64 + ".example", "a\0b"])
def test_names_that_tls_cannot_carry(name: str) -> None:
    said = problem(to="tls://logs", ssl_server_name=name)
    assert said.startswith(": ssl_server_name: ")
    assert "is not a name for TLS" in said
    if "\0" not in name:
        said = problem(to=f"tls://{name}")
        assert said.startswith(": to: ")
        assert "is not a name for TLS" in said


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("pki"), "localhost")


def test_files_of_tls_are_read(certificate: Certificate, tmp_path: Path) -> None:
    given = {
        "to": "tls://x",
        "ssl_ca": str(certificate.ca),
        "ssl_cert": str(certificate.cert),
        "ssl_key": str(certificate.key),
        "ssl_fingerprint": f"SHA256 Fingerprint={certificate.fingerprint}",
    }
    settings = Settings.model_validate(given)
    assert settings.ssl_fingerprint == certificate.fingerprint.replace(":", "").lower()
    empty = tmp_path / "empty.pem"
    empty.touch()
    assert "ssl_ca: " in problem(**{**given, "ssl_ca": str(empty)})
    assert "ssl_cert: with ssl_key: " in problem(**{**given, "ssl_key": str(empty)})


def test_a_key_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    locked = make_certificate(tmp_path, "x", passphrase=b"secret")
    said = problem(to="tls://x", ssl_cert=str(locked.cert), ssl_key=str(locked.key))
    assert said.startswith(": ssl_cert: with ssl_key: ")


def test_no_headers_may_be_shown() -> None:
    assert RuleSettings.model_validate({"events": "A", "show": "None"}).show == ()
    assert RuleSettings.model_validate({"events": "A"}).show is None
