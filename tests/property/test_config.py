"""What holds for any configuration file."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from amiws_gevent import values
from amiws_gevent.config import ConfigError, LoadResult, load_settings, units
from amiws_gevent.config.model import AmiHost, Limits, Settings, file_keys
from tests.support.config import ONE_HOST, load, write

SECRET = "hunter2"

PLAIN = st.text(string.ascii_letters + string.digits + "_.+=~$/-", min_size=1, max_size=40).filter(
    # What YAML itself reads as the item of a list, or the end of a document.
    lambda text: text != "-"
)
QUOTED = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0{"), min_size=1)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


def mapping_of(model: type[Settings | AmiHost | Limits]) -> st.SearchStrategy[dict[str, object]]:
    keys = st.sampled_from([key for key in file_keys(model) if key != "secret_file"])
    return st.dictionaries(keys | st.text(max_size=9), VALUES, max_size=6)


DOCUMENTS = st.builds(
    lambda top, hosts, limits: {**top, "amihosts": hosts, "limits": limits},
    mapping_of(Settings),
    st.lists(mapping_of(AmiHost) | VALUES, max_size=3),
    mapping_of(Limits) | VALUES,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("config")
    (made / "web_root").mkdir()
    return made


def loaded_or_refused(folder: Path, text: str | bytes) -> LoadResult | ConfigError:
    """There is no third way, and each problem and warning has a line of its own."""
    path = write(folder, text)
    result: LoadResult | ConfigError
    try:
        result = load_settings(path, environ={}, base=folder)
    except ConfigError as error:
        result = error
    for line in told(result):
        assert line.startswith(f"{path}:")
        assert line.isprintable()
    return result


def told(result: LoadResult | ConfigError) -> list[str]:
    """All lines that an operator would see."""
    lines = str(result).split("\n") if isinstance(result, ConfigError) else []
    return [*lines, *result.warnings]


@given(secret=PLAIN)
@example(secret="0123")
@example(secret="1_000")
@example(secret="=")
@example(secret="~")
def test_an_unquoted_secret_is_its_text(folder: Path, secret: str) -> None:
    made = load(folder, ONE_HOST.replace("s3cr3t", secret)).settings
    assert made.amihosts[0].secret.get_secret_value() == secret


@given(secret=QUOTED)
def test_a_quoted_secret_is_its_text(folder: Path, secret: str) -> None:
    written = yaml.safe_dump(secret[:250], default_style='"', width=10**6).strip()
    made = load(folder, ONE_HOST.replace("s3cr3t", written)).settings
    assert made.amihosts[0].secret.get_secret_value() == secret[:250]


@given(value=st.text(st.characters(codec="utf-8"), min_size=1, max_size=100))
def test_what_a_variable_holds_is_taken_as_it_is(folder: Path, value: str) -> None:
    write(folder, ONE_HOST.replace("pbx1", "'${NAME}'"))
    try:
        made = load_settings(folder / "amiws.yaml", environ={"NAME": value}, base=folder).settings
    except ConfigError as error:
        refused = str(error)
    else:
        assert made.amihosts[0].name == value
        return
    assert not value.isprintable()
    assert "control characters" in refused


@given(
    content=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace"))
)
def test_any_bytes_are_settings_or_a_told_error(folder: Path, content: bytes) -> None:
    loaded_or_refused(folder, content)


@given(text=st.text("amihost: -&*![]{}<'\"#|>%@`?,\n\t$12~", max_size=60))
def test_any_yaml_signs_are_settings_or_a_told_error(folder: Path, text: str) -> None:
    loaded_or_refused(folder, text)
    loaded_or_refused(folder, ONE_HOST + text)


@given(document=DOCUMENTS)
def test_any_values_are_settings_or_told_errors(folder: Path, document: object) -> None:
    loaded_or_refused(folder, yaml.safe_dump(document, allow_unicode=True))


@given(
    place=st.integers(0, len(ONE_HOST)),
    cut=st.integers(0, 2),
    sign=st.sampled_from([*"\n\t :-#&*!{}[]'\"|>%@`?,", ""]),
)
def test_a_slip_of_the_pen_shows_no_secret(folder: Path, place: int, cut: int, sign: str) -> None:
    text = ONE_HOST.replace("s3cr3t", SECRET + SECRET)
    result = loaded_or_refused(folder, text[:place] + sign + text[place + cut :])
    assert "unter" not in "\n".join(told(result))


@given(text=st.text())
def test_values_once_read_read_the_same(text: str) -> None:
    readers = (units.event_names, units.origins, units.hosts, units.encoding, values.fingerprint)
    for read in readers:
        try:
            found = read(text)
        except ValueError:
            continue
        assert read(found) == found


@given(number=st.integers(1, 10**6), unit=st.sampled_from(["", "k", "KiB", "MiB", "m"]))
def test_sizes_are_their_number_times_their_unit(number: int, unit: str) -> None:
    power = {"": 0, "k": 1, "m": 2}[unit[:1].lower()]
    assert values.size(f"{number} {unit}") == number * 1024**power
