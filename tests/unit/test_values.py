"""Sizes, times and paths as people write them, and as models of settings read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from amiws_gevent import values
from amiws_gevent.values import (
    SHOWN_LENGTH,
    AnyPath,
    Delay,
    LoadContext,
    Scalar,
    Seconds,
    Size,
    names_secret,
    shown,
)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("1048576", 1048576),
        (1048576, 1048576),
        ("512k", 524288),
        ("512 KB", 524288),
        ("512KiB", 524288),
        ("4 MiB", 4 << 20),
        ("1.5 MiB", 3 << 19),
        ("1g", 1 << 30),
        ("1 T", 1 << 40),
        ("16 TiB", 1 << 44),
        ("100 b", 100),
        ("100 bytes", 100),
    ],
)
def test_sizes(value: object, size: int) -> None:
    found = values.size(value)
    assert found == size
    assert type(found) is int


@pytest.mark.parametrize(
    "value", ["0", "0 MiB", "0.1", "-1", "4 MB/s", "four", "", "2000 TiB", "4 m s", True, None, [4]]
)
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="such as 1048576, 512k or 4 MiB"):
        values.size(value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        ("0.5", 0.5),
        (30, 30.0),
        (0.25, 0.25),
        ("30 s", 30.0),
        ("30s", 30.0),
        ("500 ms", 0.5),
        ("5 min", 300.0),
        ("5m", 300.0),
        ("12 h", 43200.0),
        ("1 hour", 3600.0),
        ("2 days", 172800.0),
    ],
)
def test_times(value: object, seconds: float) -> None:
    found = values.seconds(value)
    assert found == pytest.approx(seconds)
    assert type(found) is float


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "0 s",
        "-5",
        "5 parsecs",
        "",
        "367 d",
        "inf",
        "nan",
        "1e3",
        "1:30",
        True,
        None,
        float("nan"),
        float("inf"),
        -1.0,
        0,
    ],
)
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(ValueError, match="such as 30 s, 5 min or 12 h"):
        values.seconds(value)


@pytest.mark.parametrize("value", ["0", "0.0", "0 s", "0 ms", 0, 0.0])
def test_no_delay(value: object) -> None:
    assert values.delay(value) == 0
    assert type(values.delay(value)) is float


def test_a_delay_is_a_time() -> None:
    assert values.delay("500 ms") == 0.5
    for wrong in ("soon", "-1", "0 parsecs", "", False, None):
        with pytest.raises(ValueError, match="must be a time in seconds"):
            values.delay(wrong)


def test_paths_count_from_the_base() -> None:
    base = Path("/srv/pbx")
    assert values.absolute("web", base) == Path("/srv/pbx/web")
    assert values.absolute(Path("web"), base) == Path("/srv/pbx/web")
    assert values.absolute("/etc/web", base) == Path("/etc/web")
    # What a file system in another encoding gave to os.environ is a path all the same.
    assert values.absolute("caf\udce9", base) == Path("/srv/pbx/caf\udce9")


@pytest.mark.parametrize("value", ["", "a\0b", "\ud800", None, [], {}, 5])
def test_what_is_no_path(value: object) -> None:
    with pytest.raises(ValueError, match="must be a path"):
        values.absolute(value, Path("/"))


def test_the_base_is_the_current_directory_unless_a_load_says_otherwise(tmp_path: Path) -> None:
    assert values.base_folder(None) == Path.cwd()
    assert values.base_folder(values.LoadContext(tmp_path)) == tmp_path
    assert values.folder_of_file(values.LoadContext(tmp_path)) == tmp_path
    assert values.folder_of_file(values.LoadContext(Path("/"), tmp_path)) == tmp_path
    assert values.folder_of_file(None) == Path.cwd()


@pytest.mark.parametrize("read", [values.size, values.seconds, values.delay])
def test_no_message_shows_what_the_environment_holds(read: Callable[[object], object]) -> None:
    with pytest.raises(ValueError, match=r"what '\$\{NAME\}' stands for") as caught:
        read(Scalar("hunter2", "${NAME}"))
    assert "hunter2" not in str(caught.value)


# As types of a model's fields


class Settings(BaseModel):
    size: Size = 1
    seconds: Seconds = 1.0
    delay: Delay = 0.0
    path: AnyPath | None = None


def test_a_model_reads_text() -> None:
    made = Settings.model_validate({"size": "4k", "seconds": "5 min", "delay": "0", "path": "/a"})
    assert made == Settings(size=4096, seconds=300.0, delay=0.0, path=Path("/a"))


def test_a_path_of_a_model_counts_from_the_folder_of_the_start(tmp_path: Path) -> None:
    given = {"path": "sub/file"}
    assert Settings.model_validate(given).path == Path.cwd() / "sub/file"
    loaded = Settings.model_validate(given, context=LoadContext(tmp_path))
    assert loaded.path == tmp_path / "sub/file"


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("size", "0", "must be a size"),
        ("seconds", "0", "must be a time"),
        ("delay", "-1", "must be a time"),
        ("path", "", "must be a path"),
    ],
)
def test_a_model_says_what_to_write(key: str, value: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Settings.model_validate({key: value})


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (Size, [1, "4 MiB", "${SIZE}"], [0, "four"]),
        (Seconds, [0.5, "5 min", "${TIME}"], [0, "a minute"]),
        (Delay, [0, "0", "5 min"], [-1, "soon"]),
        (AnyPath, ["a/b", 5], [["a"]]),
    ],
)
def test_what_editors_accept(kind: object, right: list[object], wrong: list[object]) -> None:
    schema = TypeAdapter(kind).json_schema()
    for value in right:
        jsonschema.validate(value, schema)
    for value in wrong:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, schema)


def test_a_scalar_is_its_text() -> None:
    scalar = Scalar("5038")
    assert scalar == "5038"
    assert scalar.written == "5038"
    assert not scalar.replaced


def test_a_scalar_knows_that_it_was_replaced() -> None:
    assert Scalar("x", "${A}").replaced
    assert not Scalar("${A}", "${A}").replaced


def test_values_are_quoted_and_escaped() -> None:
    assert shown("a\nb\x1b[0m") == r"'a\nb\x1b[0m'"
    assert shown(7) == "'7'"


def test_long_values_are_shortened() -> None:
    text = shown("x" * 1000)
    assert len(text) == SHOWN_LENGTH + 2
    assert text.endswith("…'")
    assert shown("x" * SHOWN_LENGTH) == repr("x" * SHOWN_LENGTH)
    assert len(shown("x" * 1000, 120)) == 122


def test_lists_and_mappings_are_only_named() -> None:
    assert shown(["secret"]) == "a list"
    assert shown(frozenset({"secret"})) == "a list"
    assert shown({"secret": 1}) == "a mapping"


def test_what_the_environment_holds_is_not_shown() -> None:
    assert shown(Scalar("hunter2", "${PASSWORD}")) == "what '${PASSWORD}' stands for"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("admin:hunter2@10.0.0.1", "'admin:…@10.0.0.1'"),
        ("https://u:hunter2@host/x", "'https://u:…@host/x'"),
        ("https://u:hunt@er2@host", "'https://u:…@host'"),
        ("https://host:8000/@x", "'https://host:8000/@x'"),
        ("a@b", "'a@b'"),
        ("10.0.0.1:5038", "'10.0.0.1:5038'"),
    ],
)
def test_a_password_before_a_host_is_not_shown(text: str, seen: str) -> None:
    assert shown(text) == seen


def test_keys_of_secrets() -> None:
    for key in ("secret", "Secret", "ami_secret", "password", "db-passwd", "api_key", "token"):
        assert names_secret(key), key
    for key in ("secret_file", "auth_file", "ssl_key", "tokens_seen", "passenger", "key", ""):
        assert not names_secret(key), key


DIGEST = "5f3b0a8d9e1142c7602dee7493ab0518c46fd2397ab80155e6902c4d83f71baa"


@pytest.mark.parametrize(
    "value",
    [
        DIGEST,
        DIGEST.upper(),
        ":".join(DIGEST[i : i + 2] for i in range(0, 64, 2)),
        f"sha256 Fingerprint={DIGEST.upper()}",
        f"SHA256:{DIGEST}",
        f" {DIGEST} ",
    ],
)
def test_fingerprint(value: str) -> None:
    assert values.fingerprint(value) == DIGEST


@pytest.mark.parametrize("value", ["", DIGEST[:40], DIGEST + "00", "z" * 64, None, []])
def test_what_is_no_fingerprint(value: object) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        values.fingerprint(value)
