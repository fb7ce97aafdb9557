"""What people write that is not YAML, and what they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.config import ConfigError
from amiws_gevent.config.document import compose
from amiws_gevent.config.syntax import missing_blank

HOST = "amihosts:\n  - name: a\n    host: b\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ws_port: 1\namihosts:\n\t- name: a\n", "3: begins with a tab; indent with spaces"),
        ("limits:\n  ami_line: 1\n \tami_packet: 1\n", "3: begins with a tab; indent with spaces"),
        ("ws_port:\t8000\n", "1: has a tab where a space must be"),
        (
            "web_root: x\nws_port:8000\namihosts:\n- name: a\n",
            '2: needs a space after the colon of ws_port: write "ws_port: …"',
        ),
        (
            "ws_port:8000\n\n# note\nweb_root: x\n",
            '1: needs a space after the colon of ws_port: write "ws_port: …"',
        ),
        (
            "amihosts:\n  - name:a\n    host: b\n",
            '2: needs a space after the colon of name: write "name: …"',
        ),
        (
            HOST + "    secret:hunter2\n    port: 1\n",
            '4: needs a space after the colon of secret: write "secret: …"',
        ),
        (
            HOST + "    secret:hunter2\n",
            '4: needs a space after the colon of secret: write "secret: …"',
        ),
        (
            "amihosts:\n  -name: a\n   host: b\n",
            '2: needs a space after the dash before name: write "- name: …"',
        ),
        (
            HOST + "  -name: c\n",
            '4: needs a space after the dash before name: write "- name: …"',
        ),
        (
            "ws_port: 8000\n  web_root: x\n",
            "2: is indented wrongly: its key begins in column 3, that of line 1 in column 1; keys",
        ),
        (
            "limits:\n  ami_line: 1\n ami_packet: 2\n",
            "3: is indented wrongly: its key begins in column 2, that of line 2 in column 3; keys",
        ),
        (
            HOST + "   port: 5\n",
            "4: is indented wrongly: its key begins in column 4, that of line 3 in column 5; keys",
        ),
        (
            HOST + "  username: 5\n",
            "4: is indented wrongly: its key begins in column 3, that of line 3 in column 5; keys",
        ),
        (
            "amihosts:\n  - name: a\n      host: b\n",
            "3: is indented wrongly: its key begins in column 7, that of line 2 in column 5; keys",
        ),
        (
            "  ws_port: 1\nweb_root: x\n",
            "2: is indented wrongly: its key begins in column 1, that of line 1 in column 3; keys",
        ),
        ("secret: a: b\n", "1: mapping values are not allowed here; a value that begins with"),
        ("a: [1\nb: 2\n", "2: expected ',' or ']', but got ':' while parsing a flow sequence; a"),
        ("url: http://a\nsecret: a: b\n", "2: mapping values are not allowed here; a value"),
    ],
)
def test_what_is_not_yaml(text: str, told: str) -> None:
    line, _, message = told.partition(": ")
    assert refusal(text).startswith(f"amiws.yaml:{line}: is not YAML: {message}")
    assert "hunter2" not in refusal(text)


@pytest.mark.parametrize(
    ("text", "line", "sign"), [("a: 1\n---\nb: 2\n", 2, "---"), ("a: 1\n...\nb: 2\n", 2, "...")]
)
def test_a_second_document(text: str, line: int, sign: str) -> None:
    assert refusal(text) == (
        f'amiws.yaml:{line}: begins a second document ("{sign}"); a configuration has only one: '
        "remove the line"
    )


def test_a_file_that_is_one_line_without_a_blank() -> None:
    assert refusal("# note\nws_port:8000\n") == (
        'amiws.yaml:2: needs a space after the colon of ws_port: write "ws_port: …"'
    )


@pytest.mark.parametrize(
    "line", ["", "a: b", "  - a: b", "http://a", "a:", "a::b", "# x", "- a", "'a:b'", "--- a"]
)
def test_lines_that_miss_no_blank(line: str) -> None:
    assert missing_blank(line) is None


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(Path("amiws.yaml"), text)
    return str(caught.value)
