"""Which names are this server's own, which can be no web site's, and which are allowed."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.config.units import hosts
from amiws_gevent.web.hosts import HostPolicy, host_name, is_unregistrable, names_of_this_machine


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8000",
        "10.1.2.3",
        "[::1]:8000",
        "[2001:DB8::7]",
        "localhost",
        "LOCALHOST:8000",
        "localhost.:8000",
        "wallboard.localhost",
        "pbx",
        "pbx:8000",
        "my_pbx",
        "pbx.local",
        "pbx.berlin.internal:80",
        "pbx.home.arpa",
        "pbx.test",
    ],
)
def test_no_web_site_has_these(host: str) -> None:
    assert HostPolicy(()).allows(host)
    assert HostPolicy(["pbx.example.com"]).allows(host)
    assert HostPolicy(None).allows(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000",
        "evil.example.com.",
        "local.evil.com",
        "localhost.evil.com",
        "127.0.0.1.evil.com",
        "127.0.0.1.nip.io:8000",
        "evillocal.com",
        "home.arpa.com",
        "1.2.3.4.5",
        "xn--bro-hoa.example",
        "",
        ":8000",
        "pbx/evil.example",
        "pbx@evil.example",
        "a b",
        "null\x00",
        "[::1",
        "::1",
    ],
)
def test_others_are_not_known(host: str) -> None:
    assert not HostPolicy(()).allows(host)
    assert not HostPolicy(None).allows(host)
    assert not HostPolicy(["pbx.example.com", ".wall.example.com"]).allows(host)


def test_an_empty_list_is_a_list() -> None:
    assert HostPolicy(()).enforced
    assert HostPolicy(["a.example"]).enforced
    assert not HostPolicy(None).enforced


@pytest.mark.parametrize("host", ["pbx.example.com", "PBX.Example.COM.:8000", "pbx.example.com:"])
def test_a_name_of_the_list(host: str) -> None:
    assert HostPolicy(["pbx.example.com"]).allows(host)
    assert not HostPolicy(["example.com"]).allows(host)


@pytest.mark.parametrize(
    ("entry", "itself", "below"),
    [("example.com", True, False), (".example.com", True, True), ("*.example.com", False, True)],
)
def test_all_below_a_name(entry: str, itself: bool, below: bool) -> None:
    policy = HostPolicy([entry])
    assert policy.allows("example.com:8000") is itself
    assert policy.allows("a.example.com") is below
    assert policy.allows("a.b.example.com") is below
    assert not policy.allows("evilexample.com")
    assert not policy.allows("example.com.evil.org")


def test_a_star_is_all() -> None:
    assert HostPolicy(["*"]).allows("evil.example")
    assert HostPolicy(["*"]).allows("nonsense\x00")


def test_own_names() -> None:
    assert HostPolicy((), {"PBX.example.org.", ""}).allows("pbx.example.org:8000")
    assert not HostPolicy((), {""}).allows("")


def test_names_in_unicode() -> None:
    assert HostPolicy(hosts("büro.example")).allows("xn--bro-hoa.example:8000")


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_address_passes(address: ipaddress.IPv4Address, port: int) -> None:
    text = f"[{address}]" if ":" in str(address) else str(address)
    assert HostPolicy(()).allows(text)
    assert HostPolicy(()).allows(f"{text}:{port}")


@given(st.text(max_size=60))
def test_no_text_is_an_error(host: str) -> None:
    policy = HostPolicy(["pbx.example.com", ".wall.example.com"])
    if policy.allows(host):
        name = host_name(host)
        assert name is not None
        known = name == "pbx.example.com" or f".{name}".endswith(".wall.example.com")
        assert known or is_unregistrable(name)


@given(st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){1,4}", fullmatch=True))
def test_a_name_pasted_from_the_log_is_allowed(name: str) -> None:
    spelt = host_name(name)
    if spelt is not None:
        assert HostPolicy(hosts([spelt])).allows(name)


def test_the_names_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "pbx")
    file = tmp_path / "hosts"
    file.write_text(
        "127.0.0.1\tlocalhost\n"
        "127.0.1.1 pbx.example.org pbx # pbx.commented.example\n"
        "10.0.0.5 other.example.org other\n"
        "10.0.0.6\n"
        "#10.0.0.7 no.example.org pbx\n\n"
    )
    assert names_of_this_machine(file) == {"pbx", "pbx.example.org"}
    assert names_of_this_machine(tmp_path / "none") == {"pbx"}


def test_a_hosts_file_in_another_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "pbx")
    file = tmp_path / "hosts"
    file.write_bytes(b"10.0.0.5 b\xfcro # \xfc\n10.0.0.6 pbx.example.org pbx\n")
    assert names_of_this_machine(file) == {"pbx", "pbx.example.org"}
