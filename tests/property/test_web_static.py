"""No path, however it is spelt, leads out of the root or to a hidden file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import NotFound
from werkzeug.test import create_environ, run_wsgi_app

from amiws_gevent.web.static import StaticFiles, file_response

VISIBLE = {"index.html", "a", "sub/index.html", "sub/b c.txt", "sub/deep/d"}
SECRET = {".env", ".git/config", "sub/.htdigest", "sub/b~", "users.htdigest", "private.yaml"}
OUTSIDE = {"outside.txt", "root.old/a"}

segments = st.sampled_from(
    [
        *("", ".", "..", "...", "~", "a", "b~", "b c.txt", "d", "sub", "deep", "root", "root.old"),
        *("index.html", ".env", ".git", "config", ".htdigest", "outside.txt", "users.htdigest"),
        *("private.yaml", "in", "out", "up", "loop", "hard", "a\0", "..\\", "%2e%2e", "a\n"),
    ]
)
paths = st.one_of(
    st.lists(segments, max_size=6).map("/".join).map(lambda path: "/" + path),
    st.lists(segments, max_size=6).map("/".join),
    st.text(max_size=30),
)


@pytest.fixture(scope="module")
def files() -> Iterator[StaticFiles]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "root")
        for relative in VISIBLE | SECRET | {f"../{path}" for path in OUTSIDE}:
            path = root / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("secret" if relative not in VISIBLE else "visible")
        (root / "in").symlink_to("sub")
        (root / "out").symlink_to("../root.old")
        (root / "up").symlink_to("..")
        (root / "loop").symlink_to("loop")
        (root / "hard").hardlink_to(root / "private.yaml")
        yield StaticFiles(root, [root / "private.yaml"])


@given(paths)
def test_only_what_is_visible_is_opened(files: StaticFiles, path: str) -> None:
    try:
        found = files.open(path)
    except NotFound:
        return
    with found.file:
        assert found.file.read() == b"visible"


@given(st.sampled_from(sorted(VISIBLE)))
def test_what_is_visible_is_opened(files: StaticFiles, relative: str) -> None:
    with files.open("/" + relative).file as file:
        assert file.read() == b"visible"


CONTENT = bytes(range(256))


@pytest.fixture(scope="module")
def content() -> Iterator[StaticFiles]:
    with tempfile.TemporaryDirectory() as name:
        Path(name, "data.bin").write_bytes(CONTENT)
        yield StaticFiles(Path(name))


@given(st.integers(0, 255), st.integers(0, 400))
def test_any_range_inside_is_that_part(content: StaticFiles, first: int, last: int) -> None:
    environ = create_environ("/")
    environ["HTTP_RANGE"] = f"bytes={first}-{last}"
    response = file_response(content.open("/data.bin"), environ)
    body, status, headers = run_wsgi_app(response, environ, buffered=True)
    received = b"".join(body)
    if first <= last:
        assert status.startswith("206")
        assert received == CONTENT[first : last + 1]
    else:
        assert status.startswith("200")
        assert received == CONTENT
    assert headers["Content-Length"] == str(len(received))
