"""The URL of a receiver: its parts, and that it shows only where it leads."""

from __future__ import annotations

import pytest
from amiws_plugins.webhook.endpoint import Endpoint, parse_endpoint


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com", ("http", "example.com", 80, "/", None)),
        ("https://example.com/a/b?c=d#e", ("https", "example.com", 443, "/a/b?c=d", None)),
        ("HTTPS://EXAMPLE.com:8443/", ("https", "example.com", 8443, "/", None)),
        ("http://127.0.0.1:80/x", ("http", "127.0.0.1", 80, "/x", None)),
        ("http://[2001:db8::1]:8080/x", ("http", "2001:db8::1", 8080, "/x", None)),
        ("http://u:p%40w@h/x", ("http", "h", 80, "/x", "u:p@w")),
        ("http://u@h/x@y", ("http", "h", 80, "/x@y", "u")),
        ("http://müller.example:81/ä", ("http", "xn--mller-kva.example", 81, "/%C3%A4", None)),
    ],
)
def test_the_parts(url: str, expected: tuple[str, str, int, str, str | None]) -> None:
    endpoint = parse_endpoint(url)
    assert endpoint == Endpoint(*expected)
    assert endpoint.tls is (endpoint.scheme == "https")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook-s3cret",
        "ftp://example.com/s3cret",
        "http://",
        "http:///s3cret",
        "http://:80/s3cret",
        "http://h:0/s3cret",
        "http://h:65536/s3cret",
        "http://h:x/s3cret",
        "http://[::1/s3cret",
        "http://ä" + "b" * 64 + "/s3cret",
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="must be a URL") as caught:
        parse_endpoint(url)
    assert "s3cret" not in str(caught.value)


def test_only_scheme_host_and_port_are_shown() -> None:
    endpoint = parse_endpoint("https://user:s3cret@example.com:8443/s3cret?token=s3cret")
    assert str(endpoint) == "https://example.com:8443"
    assert "s3cret" not in repr(endpoint)
    assert "user" not in repr(endpoint)
    assert str(parse_endpoint("https://[::1]:443/")) == "https://[::1]"


def test_the_login_becomes_basic_authorization() -> None:
    assert parse_endpoint("http://u:p%C3%A4@h/").authorization == "Basic dTpww6Q="
    assert parse_endpoint("http://h/").authorization is None


def test_its_secrets_are_known_in_every_form() -> None:
    endpoint = parse_endpoint("http://user:pa%20ss@h/services/T0123456/x?token=abc%2Bdefgh")
    secrets = endpoint.secrets()
    for text in ("user:pa ss", "pa ss", "T0123456", "abc%2Bdefgh", "abc+defgh", "services"):
        assert text in secrets
    assert "/services/T0123456/x?token=abc%2Bdefgh" in secrets
    assert "x" not in secrets
    assert "/" not in parse_endpoint("http://h/").secrets()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.2", True), ("[::1]", True), ("example.com", False)],
)
def test_this_machine(host: str, loopback: bool) -> None:
    assert parse_endpoint(f"http://{host}/").loopback is loopback
