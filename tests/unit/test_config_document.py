"""YAML as text with places."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from amiws_gevent.config import ConfigError
from amiws_gevent.config.document import Reader, compose, read_text
from amiws_gevent.config.problems import Place
from amiws_gevent.values import Scalar

FILE = Path("amiws.yaml")


def read(
    text: str, environ: Mapping[str, str] | None = None
) -> tuple[dict[str, Scalar | None], Reader]:
    """The scalars of a flat mapping, and the reader with what it noted."""
    reader = Reader(environ or {})
    nodes = reader.mapping(compose(FILE, text), ())
    values = {
        key: reader.scalar(node, (key,))
        for key, node in nodes.items()
        if isinstance(node, yaml.ScalarNode)
    }
    return values, reader


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(FILE, text)
    return str(caught.value)


@pytest.mark.parametrize(
    "text", ["0123", "12345", "yes", "1e5", "null", "~", "0x1F", "1_000", "2020-01-01", "1:30", "="]
)
def test_scalars_are_the_text_of_the_file(text: str) -> None:
    values, reader = read(f"a: {text}\nb: '{text}'\nc: !!str {text}\n")
    assert values == {"a": text, "b": text, "c": text}
    assert reader.problems == []


def test_a_key_without_a_value_is_not_empty_quotes() -> None:
    values, _ = read("a:\nb: ''\nc: \"\"\n")
    assert values == {"a": None, "b": "", "c": ""}


def test_block_texts() -> None:
    values, _ = read("a: |\n  one\n  two\nb: >\n  one\n  two\n")
    assert values == {"a": "one\ntwo\n", "b": "one two\n"}


def test_lines_of_keys_and_items() -> None:
    _, reader = read("# note\na: 1\n\nb:\n  - x\n  -\n    y\n")
    node = compose(FILE, "# note\na: 1\n\nb:\n  - x\n  -\n    y\n")
    items = reader.mapping(node, ())["b"]
    assert isinstance(items, yaml.SequenceNode)
    reader.sequence(items, ("b",))
    assert [reader.line(place) for place in (("a",), ("b",), ("b", 0), ("b", 1))] == [2, 4, 5, 7]
    assert reader.line(("b", 0, "deeper")) == 5
    assert reader.line(("absent",)) == 2
    assert Reader({}).line(("absent",)) == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("x${A}y${B_2}z", "xoneytwoz"),
        ("$A ${} ${-} ${2} ${A-x} {A} $", "$A ${} ${-} ${2} ${A-x} {A} $"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$${A}${A}", "${A}one"),
        ("${NESTED}", "${A}"),
        ("${EMPTY}", ""),
    ],
)
def test_the_environment(text: str, value: str) -> None:
    environ = {"A": "one", "B_2": "two", "NESTED": "${A}", "EMPTY": ""}
    for quoted in (text, f"'{text}'", f'"{text}"'):
        values, reader = read(f"k: {quoted}\n", environ)
        assert values == {"k": value}
        assert reader.problems == []


def test_the_environment_is_not_for_keys() -> None:
    values, _ = read("${A}: 1\n", {"A": "one"})
    assert values == {"${A}": "1"}


def test_an_unset_variable_is_named_once() -> None:
    values, reader = read("k: ${NO} ${NO} ${OTHER}\n")
    assert values == {"k": "${NO} ${NO} ${OTHER}"}
    assert [(place, message.split(";")[0]) for place, message in reader.problems] == [
        (("k",), "the environment variable NO is not set"),
        (("k",), "the environment variable OTHER is not set"),
    ]
    assert "$${NO}" in reader.problems[0][1]


def test_of_a_key_given_twice_the_last_counts() -> None:
    values, reader = read("a: 1\nb: 2\na: 3\n")
    assert values == {"a": "3", "b": "2"}
    assert reader.warnings == [(("a",), "is given twice; the value of line 1 is ignored")]
    assert reader.line(("a",)) == 3


def test_anchors_aliases_and_merging() -> None:
    text = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  d: 5\n  a: 6\n"
    reader = Reader({})
    top = reader.mapping(compose(FILE, text), ())
    assert isinstance(top["z"], yaml.MappingNode)
    merged = reader.mapping(top["z"], ("z",))
    values = {key: node.value for key, node in merged.items()}
    assert values == {"a": "6", "b": "2", "c": "4", "d": "5"}
    assert [reader.line(("z", key)) for key in "abcd"] == [6, 1, 2, 5]
    assert reader.warnings == reader.problems == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<: 5\n", "<< takes a mapping"),
        ("<<: [5]\n", "<< takes a mapping"),
        ("&a\n<<: *a\n", "<< merges a mapping into itself"),
        ("[a]: 1\n", "has a key that is not plain text in line 1"),
        ("{a: 1}: 1\n", "has a key that is not plain text in line 1"),
        ("!x a: 1\n", "has a key that is not plain text in line 1"),
        ("a: !hunter2\n", "has a YAML tag, which is not supported"),
        ("a: !!binary aHVudGVyMg==\n", "has a YAML tag, which is not supported"),
        ("!hunter2\na: 1\n", "has a YAML tag, which is not supported"),
    ],
)
def test_what_means_nothing_here(text: str, message: str) -> None:
    _, reader = read(text)
    (problem,) = {told for _, told in reader.problems}
    assert problem.startswith(message)
    assert "hunter2" not in problem


def test_a_tag_on_a_list() -> None:
    reader = Reader({})
    items = compose(FILE, "a: !set [1]\n").value[0][1]
    place: Place = ("a",)
    reader.sequence(items, place)
    assert [place for place, _ in reader.problems] == [place]


@pytest.mark.parametrize("text", ["", "# a note\n", "---\n", "\n\n", "\ufeff"])
def test_an_empty_file(text: str) -> None:
    assert refusal(text) == "amiws.yaml: is empty; it needs at least amihosts, the list of servers"


@pytest.mark.parametrize("text", ["- a\n", "\nhunter2\n", "''\n"])
def test_the_top_must_be_a_mapping(text: str) -> None:
    assert "must have keys with values (`key: value`) at the top" in refusal(text)
    assert "hunter2" not in refusal(text)


def test_a_tab_is_told_with_its_line() -> None:
    message = refusal("amihosts:\n\t- name: a\n")
    assert message.startswith("amiws.yaml:2: is not YAML: begins with a tab; indent with spaces")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: b: c\n", 1),
        ("a: [1\nb: 2\n", 2),
        ("a: 'x\n", 2),
        ("a:\n  b: 1\n c: 2\n", 3),
        ("a: @x\n", 1),
        ("a: %x\n", 1),
        ("\n}\n", 2),
    ],
)
def test_broken_yaml_is_told_with_its_line(text: str, line: int) -> None:
    assert refusal(text).startswith(f"amiws.yaml:{line}: is not YAML: ")


@pytest.mark.parametrize(
    "text",
    [
        "secret: *hunter2\n",
        "a: &hunter2 1\nb: &hunter2 2\n",
        "secret: !hunter2!x y\n",
        "secret: !<hunter2\n",
        "secret: 'hunter2\n",
        "secret: hunter2: hunter2\n",
        'secret: "hunter2\\qhunter2"\n',
        "secret: @hunter2\n",
        "secret: %hunter2\n",
        "secret: [hunter2\n",
        "secret: {hunter2\n",
        "secret: |hunter2\n",
        "%YAML 3.hunter2\n---\na: 1\n",
    ],
)
def test_broken_yaml_shows_no_value(text: str) -> None:
    message = refusal(text)
    assert "hunter" not in message
    assert "'h'" not in message


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("secret: ab #c\n", True),
        ("ami_password:   ab   #c\nb: 1\n", True),
        ("api_key: ab #c", True),
        ("secret: abc#d\n", False),
        ("secret: 'ab #c' # note\n", False),
        ('secret: "ab" # note\n', False),
        ("secret: ab\n# note\n", False),
        ("secret: #ab\n", False),
        ("ws_port: 8000 # note\n", False),
        ("secret_file: /x # note\n", False),
    ],
)
def test_a_secret_that_a_comment_may_have_cut(text: str, cut: bool) -> None:
    _, reader = read(text)
    assert [message.split(",")[0] for _, message in reader.warnings] == (
        ["ends before the #"] if cut else []
    )


def test_quotes_are_the_advice_for_signs() -> None:
    assert "must be in quotes" in refusal("secret: *hunter2\n")


def test_control_characters_are_told_with_their_line() -> None:
    assert refusal("a: 1\nb: \0\n") == (
        "amiws.yaml:2: has a control character, which YAML does not allow"
    )


@pytest.mark.slow
def test_deep_nesting_is_refused() -> None:
    assert refusal("a: " + "[" * 20000) == "amiws.yaml: is nested too deeply"


def test_text_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("\ufeffa: ü😀\r\n".encode())
    assert read_text(path) == "a: ü😀\r\n"


def test_files_without_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"

    def reason(of: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            read_text(of)
        return str(caught.value).removeprefix(str(of))

    assert reason(path) == ": does not exist; name the file with --file"
    assert reason(tmp_path) == ": is a folder, not a file; name the file with --file"
    path.write_bytes(b"a: 1\nb: 2\nc: \xe9\n")
    assert reason(path) == ":3: is not UTF-8 text; save it in that encoding"
    assert reason(path / "below") == f": cannot be read: {os.strerror(20)}"

    def denied(_: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert reason(path) == ": cannot be read by the user this runs as"
