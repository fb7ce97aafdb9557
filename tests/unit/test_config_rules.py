"""What follows from a key, and what must hold between keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amiws_gevent import resources
from amiws_gevent.config import rules
from amiws_gevent.values import LoadContext
from tests.support.certificates import make_certificate


def host(**given: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A server's keys after the rules, and the messages by key."""
    found = rules.complete_host(given, None)
    return given, {str(place[0]): message for place, message in found}


@pytest.mark.parametrize(
    ("given", "ssl", "verify"),
    [
        ({}, False, False),
        ({"ssl": "no"}, False, False),
        ({"ssl": "yes"}, True, True),
        ({"ssl": True}, True, True),
        ({"ssl": "yes", "ssl_verify": "no"}, True, "no"),
        ({"ssl": "yes", "ssl_fingerprint": "f"}, True, False),
        ({"ssl": "yes", "ssl_fingerprint": "f", "ssl_verify": "yes"}, True, "yes"),
        ({"ssl": "yes", "ssl_fingerprint": "f", "ssl_ca": "c"}, True, True),
        ({"ssl": "yes", "ssl_cert": "c", "ssl_key": "k"}, True, True),
        ({"ssl_cert": "c", "ssl_key": "k"}, True, False),
        ({"ssl_cert": "c", "ssl_key": "k", "ssl_ca": "c"}, True, True),
        ({"ssl_cert": "c", "ssl_key": "k", "ssl_verify": "yes"}, True, "yes"),
        ({"ssl_cert": "c", "ssl_key": "k", "ssl_fingerprint": "f"}, True, False),
        ({"ssl_ca": "c"}, True, True),
        ({"ssl_fingerprint": "f"}, True, False),
        ({"ssl_verify": "yes"}, True, "yes"),
    ],
)
def test_tls(given: dict[str, Any], ssl: object, verify: object) -> None:
    completed, found = host(**given)
    assert completed["ssl"] in (ssl, "yes" if ssl else "no")
    assert completed["ssl_verify"] == verify
    assert found == {}


@pytest.mark.parametrize("key", ["ssl_ca", "ssl_verify", "ssl_fingerprint"])
@pytest.mark.parametrize("off", ["no", "off", False, "0"])
def test_no_tls_with_a_key_of_tls(key: str, off: object) -> None:
    _, found = host(ssl=off, **{key: "x"})
    assert found == {key: "has no effect with ssl: no; remove it or write ssl: yes"}


@pytest.mark.parametrize(("one", "other"), [("ssl_cert", "ssl_key"), ("ssl_key", "ssl_cert")])
def test_a_certificate_needs_its_key(one: str, other: str) -> None:
    _, found = host(**{one: "x"})
    assert found == {one: f"needs {other} too; give both or neither"}


def test_a_secret_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    completed, found = host(secret_file=str(path))
    assert completed["secret"] == "hunter2"
    assert found == {}


def test_a_secret_from_a_file_beside_the_base(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    given = {"secret_file": "secret"}
    assert rules.complete_host(given, LoadContext(tmp_path)) == []
    assert given["secret"] == "hunter2"


def test_a_secret_file_beside_a_secret(tmp_path: Path) -> None:
    completed, found = host(secret="a", secret_file=str(tmp_path / "none"))
    assert completed["secret"] == "a"
    assert found == {"secret_file": "is given with secret; give only one of them"}


def test_a_secret_file_that_is_not_there_leaves_one_problem(tmp_path: Path) -> None:
    completed, found = host(secret_file=str(tmp_path / "none"))
    assert "secret" in completed
    assert found == {"secret_file": f"'{tmp_path / 'none'}' does not exist"}


def test_a_secret_file_that_is_no_path_is_left_to_the_field() -> None:
    completed, found = host(secret_file=[])
    assert "secret" in completed
    assert found == {}


def test_files_are_looked_at_only_by_a_load(tmp_path: Path) -> None:
    given = {"ssl_cert": "c", "ssl_key": "k", "ssl_ca": "a", "web_root": "w", "auth_file": "f"}
    assert rules.complete_host(dict(given), None) == []
    assert rules.complete_settings({**given, "auth_domain": "r"}, None) == []
    loading = LoadContext(tmp_path)
    assert [place for place, _ in rules.complete_host(dict(given), loading)] == [
        ("ssl_cert",),
        ("ssl_key",),
        ("ssl_ca",),
    ]
    found = rules.complete_settings({**given, "auth_domain": "r"}, loading)
    assert {place[0] for place, _ in found} == {"web_root", "auth_file", "ssl_cert", "ssl_key"}


def test_certificates_that_fit(tmp_path: Path) -> None:
    make_certificate(tmp_path, "localhost")
    given = {"ssl_cert": "cert.pem", "ssl_key": "key.pem", "ssl_ca": str(tmp_path / "ca.pem")}
    assert rules.complete_host(dict(given), LoadContext(tmp_path)) == []
    given |= {"ssl_key": "cert.pem", "ssl_ca": "key.pem"}
    found = dict(rules.complete_host(dict(given), LoadContext(tmp_path)))
    assert found == {
        ("ssl_ca",): "'key.pem' has no certificate in PEM form",
        ("ssl_key",): "'cert.pem' has no private key in PEM form",
    }


def whole(**given: Any) -> tuple[dict[str, Any], list[rules.Found]]:
    given.setdefault("web_root", "/")
    return given, rules.complete_settings(given, None)


def test_ids_are_places_unless_given() -> None:
    completed, found = whole(amihosts=[{}, {"id": "7"}, {}])
    assert [host["id"] for host in completed["amihosts"]] == [1, "7", 3]
    assert found == []


def test_an_id_that_two_have_names_both() -> None:
    hosts = [{"name": "a", "id": "2"}, {"name": "b"}, {"id": "x"}, {"id": "9"}, {"id": 9}]
    _, found = whole(amihosts=hosts)
    assert [place for place, _ in found] == [("amihosts", 1, "id"), ("amihosts", 4, "id")]
    assert found[0][1].startswith("2 is the id of amihosts[0] ('a') and amihosts[1] ('b')")
    assert found[1][1].startswith("9 is the id of amihosts[3] and amihosts[4]")


def test_no_servers() -> None:
    _, found = whole(amihosts=[])
    assert found == [(("amihosts",), "must have at least one server")]


@pytest.mark.parametrize("hosts", ["pbx", {}, 5, [5, "x", []]])
def test_servers_of_the_wrong_kind_are_left_to_the_model(hosts: object) -> None:
    completed, found = whole(amihosts=hosts)
    assert completed["amihosts"] == hosts
    assert found == []


@pytest.mark.parametrize(("one", "other"), [("auth_domain", "auth_file"), ("ssl_cert", "ssl_key")])
def test_keys_of_the_top_that_come_in_pairs(one: str, other: str) -> None:
    for key, absent in ((one, other), (other, one)):
        _, found = whole(**{key: "x"})
        assert found == [((key,), f"needs {absent} too; give both or neither")]


@pytest.mark.parametrize(
    ("given", "clash"),
    [
        ({"metrics_listen": "127.0.0.1:8000"}, True),
        ({"metrics_listen": ":8000", "ws_host": "10.0.0.1"}, True),
        ({"metrics_listen": "10.0.0.1:8088", "ws_host": "10.0.0.1", "ws_port": "8088"}, True),
        ({"metrics_listen": "127.0.0.1:8000", "ws_host": "10.0.0.1"}, False),
        ({"metrics_listen": "127.0.0.1:9090"}, False),
        ({"metrics_listen": "127.0.0.1:0", "ws_port": "0"}, False),
        ({"metrics_listen": "8000"}, False),
        ({"metrics_listen": ":8000", "ws_port": "x"}, False),
    ],
)
def test_metrics_have_a_port_of_their_own(given: dict[str, Any], clash: bool) -> None:
    _, found = whole(**given)
    said = [message for place, message in found if place == ("metrics_listen",)]
    assert bool(said) == clash


def test_the_root_of_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loading = LoadContext(tmp_path)
    monkeypatch.setattr(resources, "dashboard_root", lambda: tmp_path / "installed")

    given: dict[str, Any] = {}
    assert rules.complete_settings(given, loading) == []
    assert given["web_root"] == tmp_path / "installed"

    (tmp_path / "web_root").mkdir()
    given = {}
    assert rules.complete_settings(given, loading) == []
    assert given["web_root"] == tmp_path / "web_root"

    given = {"web_root": "other"}
    assert rules.complete_settings(given, loading) == [(("web_root",), "'other' does not exist")]
    given = {"web_root": "web_root"}
    assert rules.complete_settings(given, loading) == []


def test_no_dashboard_was_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise FileNotFoundError("no dashboard")

    monkeypatch.setattr(resources, "dashboard_root", none)
    found = rules.complete_settings({}, LoadContext(tmp_path))
    assert found == [(("web_root",), "must be given: no dashboard")]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"auth_header": "Remote-User", "trusted_proxies": "127.0.0.1"}, []),
        ({"trusted_proxies": "0.0.0.0/0"}, []),
        ({"auth_header": "Remote-User"}, ["auth_header"]),
        ({"auth_header": "Remote-User", "trusted_proxies": ""}, ["auth_header"]),
        ({"auth_header": "Remote-User", "trusted_proxies": "::/0"}, ["trusted_proxies"]),
        ({"auth_header": "Remote-User", "trusted_proxies": "nonsense"}, []),
        ({"logout_url": "/out"}, ["logout_url"]),
    ],
)
def test_a_name_in_a_header_needs_a_proxy(given: dict[str, Any], found: list[str]) -> None:
    keys = {"auth_header", "trusted_proxies", "logout_url"}
    places = [place[0] for place, _ in rules.complete_settings(given, None)]
    assert [place for place in places if place in keys] == found
