"""The types of values that need more than a number or a word."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from amiws_gevent.config import fields
from amiws_gevent.values import Scalar


def test_text_is_kept_as_it_is() -> None:
    for text in ("pbx 1", " blanks ", "Zentrale Köln", "家", "a\u200db"):
        assert fields.text(Scalar(text)) == text
        assert type(fields.text(Scalar(text))) is str


@pytest.mark.parametrize(
    "value", ["", "a\nb", "a\rb", "a\0b", "a\x1bb", "a\u2028b", "\ud800", None, [], {}, 5, b"x"]
)
def test_what_is_no_text(value: object) -> None:
    with pytest.raises(ValueError, match="must"):
        fields.text(value)


@pytest.mark.parametrize("text", ["s3cr3t", "0123", " ", "a\tb", "x" * 1000, "ß" * 500])
def test_secrets_are_kept_as_they_are(text: str) -> None:
    assert fields.secret(Scalar(text)).get_secret_value() == text
    assert fields.secret(SecretStr(text)).get_secret_value() == text
    assert fields.login_text(text) == text


@pytest.mark.parametrize(
    "text", ["hunter2\n", "hunter2\r", "hun\0ter2", "hunter2" * 143, "ß" * 501, "hunter2\ud800"]
)
def test_what_is_no_secret_is_not_shown(text: str) -> None:
    for value in (text, SecretStr(text)):
        with pytest.raises(ValueError, match="must be") as caught:
            fields.secret(value)
        assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("value", ["", [], {"hunter2": None}, 5, None])
def test_a_secret_is_a_text(value: object) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        fields.secret(value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("pbx.example.com", "pbx.example.com"),
        ("10.0.0.1", "10.0.0.1"),
        ("pbx_1", "pbx_1"),
        ("bücher.example", "bücher.example"),
        ("::1", "::1"),
        ("[2001:db8::5]", "2001:db8::5"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_hosts(value: str, host: str) -> None:
    assert fields.host_name(value) == host
    assert fields.listen_host(value) == host


@pytest.mark.parametrize(
    "value", ["10.0.0.1:5038", "tcp://pbx", "a b", "pbx/ami", "[::1", "[pbx]:1", "a\n", None, []]
)
def test_what_is_no_host(value: object) -> None:
    for read in (fields.host_name, fields.listen_host):
        with pytest.raises(ValueError, match="must"):
            read(value)


def test_all_interfaces() -> None:
    assert fields.listen_host("") == ""
    assert fields.listen_host("*") == ""
    with pytest.raises(ValueError, match="must not be empty"):
        fields.host_name("")


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("127.0.0.1:9090", ("127.0.0.1", 9090)),
        ("[::1]:9090", ("::1", 9090)),
        ("pbx.example.com:1", ("pbx.example.com", 1)),
        ("*:9090", ("", 9090)),
        (":9090", ("", 9090)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses_to_listen_on(value: str, address: tuple[str, int]) -> None:
    read = fields.listen_address(Scalar(value))
    assert read == address
    assert fields.listen_address(read) is read
    assert type(read.host) is str


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("9090", "must be HOST:PORT, such as"),
        ("127.0.0.1", "must be HOST:PORT, such as"),
        ("::1:9090", "must be HOST:PORT, such as"),
        ("", "must be HOST:PORT, such as"),
        (["127.0.0.1:9090"], "must be HOST:PORT, such as"),
        (9090, "must be HOST:PORT, such as"),
        ("127.0.0.1:", "must be a whole number from 0 to 65535"),
        ("127.0.0.1:http", "must be a whole number from 0 to 65535"),
        ("127.0.0.1:70000", "must be a whole number from 0 to 65535"),
        ("[::1:9090", "must be a host name or an address"),
        ("http://pbx:9090", "must be HOST:PORT, such as"),
        ("a b:9090", "must be a host name or an address"),
    ],
)
def test_what_is_no_address_to_listen_on(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fields.listen_address(value)


def test_a_realm_fits_into_htdigest_and_a_header() -> None:
    assert fields.realm("example.com, floor 2") == "example.com, floor 2"
    for wrong in ("a:b", 'a"b', "a\\b", "a\nb", ""):
        with pytest.raises(ValueError, match="must not"):
            fields.realm(wrong)


def test_what_becomes_of_slow_clients() -> None:
    assert fields.slow_clients("Drop") == "drop"
    assert fields.slow_clients(Scalar("close")) == "close"
    with pytest.raises(ValueError, match="must be close or drop, not 'wait'"):
        fields.slow_clients("wait")


def test_login_methods() -> None:
    assert fields.login_method("MD5") == "md5"
    with pytest.raises(ValueError, match="must be plain or md5, not 'sha1'"):
        fields.login_method("sha1")


def test_a_country_is_two_letters_in_any_case() -> None:
    assert [fields.country("de"), fields.country("NO")] == ["DE", "NO"]


@pytest.mark.parametrize("wrong", ["", "DEU", "D", "4", "D1", "ÄÖ", "DE\n"])
def test_other_texts_are_no_country(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"two letters|must"):
        fields.country(wrong)


def test_a_trunk_prefix_is_digits_as_they_are_written() -> None:
    assert [fields.trunk_prefix(digits) for digits in ("0", "009", "", 9)] == ["0", "009", "", "9"]


@pytest.mark.parametrize("wrong", ["x", "1 2", "-1", "123456789", "0\n", "٣"])
def test_other_texts_are_no_trunk_prefix(wrong: str) -> None:
    with pytest.raises(ValueError, match="up to 8 digits"):
        fields.trunk_prefix(wrong)
