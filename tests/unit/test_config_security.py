"""What each start warns of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.config import Settings, security_warnings
from tests.support.hosts import ami_host
from tests.support.plugins import entry


def settings(**values: Any) -> Settings:
    return Settings(amihosts=(ami_host(),), web_root=Path("/"), **values)


USERS = {"auth_domain": "r", "auth_file": Path("/etc/htdigest")}
LOGIN = {**USERS, "roles": {"viewer": {"see": "everything"}}}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_this_machine_alone_needs_no_login(host: str) -> None:
    assert security_warnings(settings(ws_host=host)) == []


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "pbx.example.com"])
def test_more_than_this_machine_without_a_login(host: str) -> None:
    assert security_warnings(settings(ws_host=host, ws_port=8088)) == [
        (
            "no login is asked for: whoever reaches port 8088 can act on the PBX: sees all of "
            "every server and may send any action, such as Originate, Command and UpdateConfig; "
            "set auth_domain and auth_file, and roles, or ws_host: 127.0.0.1"
        )
    ]


def test_a_login_is_enough_without_tls_too() -> None:
    assert security_warnings(settings(**LOGIN)) == []


def test_a_websocket_without_the_login_of_the_clients() -> None:
    _, warning = security_warnings(settings(auth_websocket=False, **USERS))
    assert "auth_websocket" in warning
    assert security_warnings(settings(auth_websocket=False, **LOGIN)) == []


def test_a_login_without_roles() -> None:
    (warning,) = security_warnings(settings(**USERS))
    assert warning.startswith("no roles are configured: whoever logs in sees all of every server")


def test_roles_say_what_everybody_may_do() -> None:
    roles = {"viewer": {"see": "everything"}}
    assert security_warnings(settings(roles=roles, anonymous_roles=["viewer"])) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_metrics_for_this_machine_alone(host: str) -> None:
    assert security_warnings(settings(metrics_listen=f"{host}:9090", **LOGIN)) == []


@pytest.mark.parametrize("host", ["", "*", "0.0.0.0", "10.0.0.1"])
def test_metrics_for_more_than_this_machine(host: str) -> None:
    (warning,) = security_warnings(settings(metrics_listen=f"{host}:9090", **LOGIN))
    assert warning.startswith("metrics_listen asks for no login: whoever reaches port 9090 can")


def test_every_name_without_a_login() -> None:
    def open_to(hosts: str, **more: Any) -> list[str]:
        return security_warnings(settings(ws_host="127.0.0.1", allowed_hosts=hosts, **more))

    for more in ({}, {"auth_websocket": False, **LOGIN}):
        assert any("DNS rebinding" in line for line in open_to("a.example, *", **more))
    assert open_to("a.example") == open_to("") == open_to("*", **LOGIN) == []


def test_every_origin() -> None:
    (warning,) = security_warnings(settings(allowed_origins="*", **LOGIN))
    assert "allowed_origins" in warning
    assert security_warnings(settings(allowed_origins="https://a", **LOGIN)) == []


def test_tokens_without_a_login_close_half_the_door() -> None:
    tokens = [{"name": "crm", "hash": "sha256:" + "0" * 64}]
    (warning,) = security_warnings(settings(ws_host="127.0.0.1", api_tokens=tokens))
    assert warning.startswith("api_tokens keeps the HTTP API for programs with a token, but pages")
    assert security_warnings(settings(api_tokens=tokens, **LOGIN)) == []


HIDES = "def amiws_transform_message(message): pass\n"


@pytest.mark.parametrize(
    ("source", "values", "warned"),
    [
        ("REQUIRED = True\n" + HIDES, {}, True),
        (HIDES, {}, False),
        ("REQUIRED = True\n" + HIDES + "def amiws_transform_entity(entity): pass\n", {}, False),
        ("REQUIRED = True\ndef amiws_filter_message(message): pass\n", {}, False),
        ("REQUIRED = True\n" + HIDES, {"live_state": False}, False),
    ],
)
def test_a_plugin_that_keeps_the_state_back(
    tmp_path: Path, source: str, values: dict[str, Any], warned: bool
) -> None:
    plugins = (entry(tmp_path, HIDES), entry(tmp_path, source, "hiding.py"))
    found = security_warnings(settings(ws_host="::1", plugins=plugins, **values))
    assert bool(found) is warned
    if warned:
        (line,) = found
        assert line.startswith("clients get no live state: the plugin ./hiding.py is required")


def test_the_login_of_a_proxy_is_one() -> None:
    proxy = {"auth_header": "Remote-User", "trusted_proxies": "10.0.0.1"}
    roles = {"viewer": {"see": "everything"}}
    assert security_warnings(settings(roles=roles, **proxy)) == []
    _, warning = security_warnings(settings(auth_websocket=False, **proxy))
    assert "auth_websocket" in warning


def test_everybody_is_a_trusted_proxy() -> None:
    (warning,) = security_warnings(settings(trusted_proxies="10.0.0.0/8, ::/0", **LOGIN))
    assert warning.startswith("trusted_proxies trusts every address")
