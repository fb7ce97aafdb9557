"""The settings as text of the configuration: what is taken, what is refused and how."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from amiws_plugins.webhook.settings import Settings
from pydantic import ValidationError

from tests.support.certificates import make_certificate

URL = "https://example.com/hook/s3cret-path"


def make(**given: Any) -> Settings:
    return Settings.model_validate({"url": URL, **given})


def problem(**given: Any) -> str:
    """The one thing that is wrong, as ``key: message``."""
    with pytest.raises(ValidationError) as caught:
        make(**given)
    (error,) = caught.value.errors(include_url=False, include_input=False)
    assert "s3cret" not in str(caught.value)
    place = ".".join(map(str, error["loc"]))
    return f"{place}: {error['msg'].removeprefix('Value error, ')}"


def key_text(settings: Settings) -> str:
    key = settings.signing_key()
    assert key is not None
    return key.texts()[0]


def test_a_url_is_enough() -> None:
    settings = make()
    assert str(settings.url) == "https://example.com"
    assert settings.events == ("*",)
    assert settings.servers == ()
    assert settings.signing_key() is None


def test_messages_need_not_wait() -> None:
    assert make(batch_delay="0").batch_delay == 0


def test_values_are_text() -> None:
    settings = make(
        batch_messages="7",
        batch_bytes="1.5 KiB",
        batch_delay="500 ms",
        queue_bytes="2m",
        timeout="0.5 min",
        circuit_cooldown_max="2 h",
        events="Hangup, Queue*",
        servers=["1", "pbx"],
    )
    assert settings.batch_messages == 7
    assert settings.batch_bytes == 1536
    assert settings.batch_delay == 0.5
    assert settings.queue_bytes == 2 * 1024**2
    assert settings.timeout == 30
    assert settings.circuit_cooldown_max == 7200
    assert settings.events == ("Hangup", "Queue*")
    assert settings.servers == ("1", "pbx")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("url", "example.com", "must be a URL that begins with http:// or https://"),
        ("batch_bytes", "many", "must be a size such as 1048576, 512k or 4 MiB"),
        ("timeout", "5 weeks", "must be a time in seconds, or such as 30 s, 5 min or 12 h"),
        ("timeout", "5 days", "Input should be less than or equal to 300"),
        ("timeout", "-1", "must be a time"),
        ("timeout", "0", "must be a time"),
        ("timeout", "1 ms", "Input should be greater than or equal to 0.1"),
        ("batch_messages", "0", "Input should be greater than or equal to 1"),
        ("events", "", "has an empty name"),
        ("ssl_verify", "perhaps", "Input should be a valid boolean"),
        ("secret_file", "", "must be a path, not ''"),
        ("ssl_ca", "", "must be a path, not ''"),
        ("retries", "5", "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_value(key: str, value: str, expected: str) -> None:
    assert problem(**{key: value}).startswith(f"{key}: {expected}")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"secret": "a", "secret_file": "/x"}, "secret_file: and secret: give one of them"),
        ({"secret": ""}, "secret: is empty; make one with `openssl rand -hex 32`"),
        (
            {"secret": "whsec_s3cret"},
            "secret: must have base64 after whsec_; `openssl rand -base64 3",
        ),
        (
            {"batch_messages": "100", "queue_messages": "199"},
            "queue_messages: must be at least twice batch_messages: one batch is being sent",
        ),
        (
            {"batch_bytes": "8k", "queue_bytes": "15k"},
            "queue_bytes: must be at least twice batch_bytes: one batch is being sent",
        ),
        (
            {"retry_delay": "40"},
            "retry_delay_max: must be at least retry_delay",
        ),
        (
            {"circuit_cooldown": "1h"},
            "circuit_cooldown_max: must be at least circuit_cooldown",
        ),
        (
            {"url": "https://u:s3cret@h/", "headers": {"authorization": "Bearer s3cret"}},
            "headers: Authorization: url has a login already",
        ),
        (
            {"url": "http://h/", "ssl_verify": "no"},
            "ssl_verify: is for a url with https",
        ),
        ({"url": "http://h/", "ssl_ca": "/x"}, "ssl_ca: is for a url with https"),
        (
            {"ssl_ca": "/x", "ssl_verify": "no"},
            "ssl_ca: has no effect with ssl_verify: no; remove one of them",
        ),
        ({"ssl_ca": "/nowhere/ca.pem"}, "ssl_ca: /nowhere/ca.pem: cannot be used: No such file"),
        ({"secret_file": "/nowhere/key"}, "secret_file: /nowhere/key: No such file or directory"),
        ({"secret_file": "/"}, "secret_file: /: Is a directory"),
    ],
)
def test_what_does_not_fit_together(given: dict[str, Any], expected: str) -> None:
    assert problem(**given).startswith(f": {expected}")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("Authorization: x", "must be lines of `Name: value`"),
        ({"X Y": "s3cret"}, "the name of a header cannot be 'X Y'"),
        ({"": "s3cret"}, "the name of a header cannot be ''"),
        ({"Content-Length": "1"}, "Content-Length is set by the webhook itself"),
        ({"transfer-encoding": "x"}, "transfer-encoding is set by the webhook itself"),
        ({"X-Amiws-Signature": "s3cret"}, "X-Amiws-Signature is set by the webhook itself"),
        ({"Webhook-Id": "1"}, "Webhook-Id is set by the webhook itself"),
        ({"webhook-timestamp": "1"}, "webhook-timestamp is set by the webhook itself"),
        ({"webhook-signature": "s3cret"}, "webhook-signature is set by the webhook itself"),
        ({"X-A": "s3cret", "x-a": "s3cret"}, "x-a is given twice"),
        ({"X-A": "s3cret\r\nX-B: c"}, "the value of X-A must be one line of printable ASCII"),
        ({"X-A": "s3cret\n"}, "the value of X-A must be one line of printable ASCII"),
        ({"X-A": " s3cret"}, "the value of X-A must be one line of printable ASCII"),
        ({"X-A": "s3crét"}, "the value of X-A must be one line of printable ASCII"),
        ({"X-A": ""}, "the value of X-A must be one line of printable ASCII"),
        ({"X-A": ["s3cret"]}, "the value of X-A must be one line of printable ASCII"),
    ],
)
def test_a_wrong_header(headers: Any, expected: str) -> None:
    assert problem(headers=headers) == f"headers: {expected}"


def test_secrets_show_nowhere(tmp_path: Path) -> None:
    settings = make(
        url="https://user:s3cret@example.com/s3cret?s3cret",
        secret="s3cret",
        headers={"X-Token": "s3cret"},
    )
    assert key_text(settings) == "s3cret"
    assert settings.headers["X-Token"].get_secret_value() == "s3cret"
    for shown in (
        *(repr(settings), str(settings), settings.model_dump_json()),
        f"{settings.signing_key()} https://example.com",
    ):
        assert "s3cret" not in shown
        assert "https://example.com" in shown


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"key", "key"),
        (b"key\n", "key"),
        (b"key\r\n", "key"),
        (b"a\n\n", "a\n"),
        (b" k ", " k "),
        (b"whsec_a2V5\n", "whsec_a2V5"),
    ],
)
def test_the_key_of_a_file_is_all_but_its_line_end(
    tmp_path: Path, content: bytes, key: str
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    assert key_text(make(secret_file=str(file))) == key


def test_a_key_of_a_file_that_is_no_base64(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"whsec_s3cret\n")
    assert problem(secret_file=str(file)).startswith(": secret_file: must have base64 after whsec_")


def test_a_file_with_nothing_but_a_line_end(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\n")
    assert problem(secret_file=str(file)).startswith(": secret_file: is empty")


def test_authorities_of_a_file(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "example.com")
    context = make(ssl_ca=str(made.ca)).tls()
    assert context is not None
    assert len(context.get_ca_certs()) == 1
    assert make(url="http://h/").tls() is None


def test_a_file_that_holds_no_authorities(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    assert re.search(r"ssl_ca: .*ca.pem: cannot be used: ", problem(ssl_ca=str(file)))


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())
