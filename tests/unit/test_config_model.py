"""The settings as values."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from amiws_gevent.config import AmiHost, ApiToken, Limits, Settings
from amiws_gevent.config.model import file_keys

HOST: dict[str, Any] = {"name": "pbx1", "host": "10.0.0.1", "username": "u", "secret": "hunter2"}


def settings(**values: Any) -> Settings:
    return Settings(**{"web_root": Path("/"), "amihosts": [HOST], **values})


def errors(model: type[BaseModel], **values: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        model(**values)
    return {".".join(map(str, error["loc"])): error["msg"] for error in caught.value.errors()}


def test_the_defaults_are_amiws_s() -> None:
    made = settings()
    assert (made.log_facility, made.log_level) == (40, 6)
    assert (made.ws_host, made.ws_port) == ("", 8000)
    assert (made.auth_domain, made.auth_file, made.auth_websocket) == (None, None, True)
    assert (made.ssl_cert, made.ssl_key) == (None, None)
    assert (made.metrics_listen, made.slow_clients) == (None, "close")
    assert (made.path, made.allowed_origins, made.session_lifetime) == (None, (), 43200.0)
    assert made.allowed_hosts is None
    assert (made.live_state, made.sync_interval, made.state_file) == (True, 300.0, None)
    assert (str(made.queue_day), made.queue_service_level) == ("00:00", 20.0)
    assert made.amihosts == (
        AmiHost(id=1, name="pbx1", host="10.0.0.1", username="u", secret=SecretStr("hunter2")),
    )


def test_the_defaults_of_a_server() -> None:
    made = AmiHost(id=1, **HOST)
    assert (made.port, made.login, made.event_names) == (5038, "plain", frozenset())
    assert (made.ssl, made.ssl_verify, made.ssl_fingerprint) == (False, False, None)
    assert (made.connect_timeout, made.keepalive, made.ami_encoding) == (10.0, 30.0, None)
    assert made.secret.get_secret_value() == "hunter2"


def test_the_defaults_of_the_limits() -> None:
    assert Limits().model_dump() == {
        "ami_line": 1 << 20,
        "ami_packet": 4 << 20,
        "ami_send_buffer": 1 << 20,
        "client_message": 256 << 10,
        "client_buffer": 32 << 20,
        "plugin_queue": 16 << 20,
        "plugin_messages": 50_000,
        "hub_buffer": 64 << 20,
        "history_messages": 50_000,
        "history_bytes": 32 << 20,
        "history_time": 300.0,
        "connections": 10000,
        "connections_per_address": None,
        "connection_rate": 1000,
        "handshakes": 2000,
        "failed_logins": 20,
        "actions_per_second": 50,
        "actions_burst": 500,
        "actions_at_work": 100,
        "header_size": 32 << 10,
        "header_time": 10.0,
        "tls_handshake_time": 10.0,
        "idle_time": 60.0,
        "ping_interval": 25.0,
    }


def test_models_are_equal_by_value_and_hashable() -> None:
    one, same = settings(), settings(amihosts=[{**HOST, "port": "5038", "id": "1"}])
    other = settings(amihosts=[{**HOST, "secret": "other"}])
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one.amihosts[0] != other.amihosts[0]
    assert len({one, same, other}) == 2


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [(settings(), "ws_port", 1), (Limits(), "connections", 1), (AmiHost(id=1, **HOST), "id", 2)],
)
def test_models_are_frozen(model: BaseModel, key: str, value: object) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(model, key, value)


def test_secrets_are_not_in_what_is_printed() -> None:
    made = settings()
    for text in (repr(made), str(made), made.model_dump_json(), str(made.model_dump())):
        assert "hunter2" not in text
    assert pickle.loads(pickle.dumps(made)) == made


def test_an_error_shows_no_input() -> None:
    with pytest.raises(ValidationError) as caught:
        settings(amihosts=[{**HOST, "port": "x", "sercet": "hunter2"}])
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)
    assert "hunter2" not in str(caught.value.errors())


def test_wrong_values_and_wrong_company_are_told_together() -> None:
    found = errors(
        Settings,
        web_root="/",
        ws_port="8a998",
        ssl_cert="x",
        auth_file="y",
        limits={"ami_line": "x"},
        amihosts=[{**HOST, "port": 0, "ssl": "no", "ssl_ca": "z"}, {**HOST, "id": 1}],
    )
    assert set(found) == {
        "ws_port",
        "ssl_cert",
        "auth_file",
        "limits.ami_line",
        "amihosts.0.port",
        "amihosts.0.ssl_ca",
        "amihosts.1.id",
    }
    assert found["ws_port"] == "must be a whole number from 0 to 65535, not '8a998'"
    assert found["ssl_cert"] == "needs ssl_key too; give both or neither"


def test_braces_in_a_message_are_only_braces() -> None:
    assert "'{x}'" in errors(Limits, ami_line="{x}")["ami_line"]
    assert "'{ami}'" in errors(AmiHost, id=1, **{**HOST, "host": "{ami}"})["host"]


def test_what_is_missing() -> None:
    assert set(errors(Settings, web_root="/")) == {"amihosts"}
    assert set(errors(AmiHost)) == {"id", "name", "host", "username", "secret"}


def test_unknown_keys_are_refused_in_code() -> None:
    assert set(errors(AmiHost, id=1, prot=1, **HOST)) == {"prot"}


def test_none_is_as_if_not_given() -> None:
    nothing = {"port": None, "ssl": None}
    assert AmiHost.model_validate({"id": 1, **HOST, **nothing}) == AmiHost(id=1, **HOST)


def test_made_of_made_models() -> None:
    limits = Limits(connections=5)
    made = settings(limits=limits, amihosts=(AmiHost(id=9, **HOST),))
    assert made.limits is limits
    assert made.amihosts[0].id == 9
    again = Settings.model_validate(made)
    assert again == made


def test_every_key_says_what_it_means() -> None:
    for model in (Settings, AmiHost, ApiToken, Limits):
        for key in file_keys(model):
            assert (model.model_fields[key].description or "").endswith("."), key


def test_the_path_of_the_file_is_no_key_of_it() -> None:
    assert "path" in Settings.model_fields
    assert "path" not in file_keys(Settings)
