from __future__ import annotations

import dataclasses
import logging

import gevent
import pytest
from pydantic import SecretStr, ValidationError

from amiws_gevent import values
from amiws_gevent.plugins.api import (
    AnyPath,
    ClientInfo,
    Delay,
    Headers,
    PluginSettings,
    RequestInfo,
    Seconds,
    ServerInfo,
    SettingError,
    Size,
)
from amiws_gevent.plugins.context import PluginContext


class Settings(PluginSettings):
    number: int
    secret: SecretStr = SecretStr("")


def test_settings_refuse_unknown_keys() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Settings.model_validate({"number": "1", "nubmer": "2"})


def test_settings_are_frozen_and_equal_by_value() -> None:
    settings = Settings.model_validate({"number": "1"})
    assert settings == Settings(number=1)
    with pytest.raises(ValidationError, match="frozen"):
        settings.number = 2


def test_the_types_of_settings_are_those_of_the_main_configuration() -> None:
    assert (AnyPath, Delay) == (values.AnyPath, values.Delay)
    assert (Seconds, Size) == (values.Seconds, values.Size)


def test_an_error_of_one_key_says_which() -> None:
    error = SettingError("file", "/x: is empty")
    assert (error.key, error.message) == ("file", "/x: is empty")
    assert str(error) == "file: /x: is empty"
    assert isinstance(error, ValueError)  # as pydantic wants it of validators


def test_no_value_is_shown_in_an_error_and_no_secret_anywhere() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"number": "s3cret"})
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(Settings(number=1, secret=SecretStr("s3cret")))


@pytest.mark.parametrize(
    "value",
    [
        ServerInfo(1, "pbx", False),
        ClientInfo("192.0.2.1", None, "classic"),
        PluginContext("mine", None, logging.getLogger("x"), gevent.spawn),
    ],
)
def test_what_hooks_get_is_read_only(value: object) -> None:
    name = dataclasses.fields(value)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "other")


def test_servers_and_clients_can_be_keys() -> None:
    assert {ServerInfo(1, "pbx", False): 1}[ServerInfo(1, "pbx", False)] == 1
    assert {ClientInfo("a", "u", "v2"): 1}[ClientInfo("a", "u", "v2")] == 1


PAIRS = [("Host", " a "), ("X-Two", "1"), ("x-two", "\t2"), ("COOKIE", "s=1")]


def test_names_are_found_in_any_case() -> None:
    headers = Headers(PAIRS)
    assert headers["HOST"] == headers["host"] == headers.get("Host") == "a"
    assert "hOST" in headers
    assert headers.get("Absent") is None
    assert headers.get("Absent", "-") == "-"
    with pytest.raises(KeyError):
        headers["Absent"]


def test_repeats_are_joined_and_can_be_told_apart() -> None:
    headers = Headers(PAIRS)
    assert headers["X-Two"] == "1, 2"
    assert headers.getall("x-TWO") == ["1", "2"]
    assert headers.getall("Absent") == []
    assert len(headers) == 3
    assert list(headers) == ["host", "x-two", "cookie"]


def test_what_is_no_name_is_not_in_it() -> None:
    assert None not in Headers(PAIRS)
    assert not Headers()


def test_values_given_out_cannot_change_it() -> None:
    headers = Headers(PAIRS)
    headers.getall("host").append("b")
    assert headers["Host"] == "a"


def test_a_request_is_frozen_and_shows_no_header_s_value() -> None:
    request = RequestInfo("GET", "/ws", Headers([("Cookie", "s3cret")]), "http", "192.0.2.1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.method = "POST"  # type: ignore[misc]
    assert "s3cret" not in repr(request)
