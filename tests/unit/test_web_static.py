"""Which paths name a file of the root, and how one is sent."""

from __future__ import annotations

import errno
import gc
import os
import socket
from pathlib import Path
from typing import Any

import gevent
import pytest
from werkzeug.exceptions import (
    HTTPException,
    NotFound,
    RequestedRangeNotSatisfiable,
    ServiceUnavailable,
)
from werkzeug.test import create_environ, run_wsgi_app

from amiws_gevent.web import static
from amiws_gevent.web.static import (
    CHUNK,
    FileBody,
    StaticFiles,
    content_type,
    file_response,
    redirect_to_folder,
)
from tests.support.patience import WAIT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "index.html").write_text("top")
    (root / "sub" / "index.html").write_text("sub")
    (root / "sub" / "deep" / "a b.txt").write_text("deep")
    (root / "größe ☎.txt").write_text("unicode")
    (root / ".hidden").write_text("hidden")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("hidden")
    (root / "page.html~").write_text("backup")
    (root / "#page.html#").write_text("backup")
    (root / "sub" / "__pycache__").mkdir()
    (root / "sub" / "__pycache__" / "quiet.cpython-311.pyc").write_text("code")
    (root / "users.htdigest").write_text("a:b:c")
    (root / ".htpasswd").write_text("a:b")
    (tmp_path / "outside.txt").write_text("outside")
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "x.txt").write_text("outside")
    return root


def read(files: StaticFiles, path: str) -> str:
    found = files.open(path)
    with found.file:
        return found.file.read().decode()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "top"),
        ("/index.html", "top"),
        ("/sub/", "sub"),
        ("/sub/index.html", "sub"),
        ("/sub/deep/a b.txt", "deep"),
        ("/größe ☎.txt", "unicode"),
    ],
)
def test_files(root: Path, path: str, text: str) -> None:
    assert read(StaticFiles(root), path) == text


@pytest.mark.parametrize(
    "path",
    [
        "",
        "x",
        "index.html",
        "//",
        "///",
        "//index.html",
        "/sub//index.html",
        "/sub/deep//",
        "/index.html/",
        "/nothing",
        "/nothing/",
        "/sub",
        "/empty",
        "/empty/",
        "/..",
        "/../",
        "/../outside.txt",
        "/../root/index.html",
        "/../root2/x.txt",
        "/sub/../index.html",
        "/sub/../../outside.txt",
        "/./index.html",
        "/.",
        "/...",
        "/..\\outside.txt",
        "/sub\\index.html",
        "\\index.html",
        "/index.html\0",
        "/index.html\0.txt",
        "/\0",
        "/index.html\n",
        "/index.html\r\nX: y",
        "/.hidden",
        "/.git/config",
        "/.git/",
        "/page.html~",
        "/#page.html#",
        "/sub/__pycache__/quiet.cpython-311.pyc",
        "/users.htdigest",
        "/USERS.HTDIGEST",
        "/.htpasswd",
        "/" + "a" * 300,
        "/" + "a/" * 3000,
        "/%2e%2e/outside.txt",
    ],
)
def test_paths_that_are_not_there(root: Path, path: str) -> None:
    with pytest.raises(NotFound):
        StaticFiles(root).open(path)


def test_absolute_paths_stay_inside(root: Path, tmp_path: Path) -> None:
    for path in (f"/{tmp_path}/outside.txt", str(tmp_path / "outside.txt"), "/etc/passwd"):
        with pytest.raises(NotFound):
            StaticFiles(root).open(path)


def test_links(root: Path, tmp_path: Path) -> None:
    (root / "in.html").symlink_to("sub/index.html")
    (root / "folder").symlink_to("sub")
    (root / "out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "out").symlink_to(tmp_path / "root2")
    (root / "up").symlink_to("..")
    (root / "to_hidden").symlink_to(".hidden")
    (root / "to_git").symlink_to(".git")
    (root / "broken").symlink_to("nothing")
    (root / "loop").symlink_to("loop")
    files = StaticFiles(root)
    assert read(files, "/in.html") == "sub"
    assert read(files, "/folder/") == "sub"
    for path in (
        "/out.txt",
        "/out/x.txt",
        "/up/outside.txt",
        "/to_hidden",
        "/to_git/config",
        "/broken",
        "/loop",
    ):
        with pytest.raises(NotFound):
            files.open(path)


def test_the_root_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(root)
    assert read(StaticFiles(tmp_path / "current"), "/sub/") == "sub"


def test_a_root_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        StaticFiles(tmp_path / "gone").open("/")


def test_only_regular_files(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        for path in ("/fifo", "/socket", "/sub"):
            with gevent.Timeout(WAIT), pytest.raises(NotFound):
                StaticFiles(root).open(path)


def test_a_fifo_that_takes_a_files_place_does_not_hang(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "fifo")
    monkeypatch.setattr(StaticFiles, "_real", lambda *_: root / "fifo")
    with pytest.raises(NotFound):
        StaticFiles(root).open("/index.html")


def test_private_files(root: Path, tmp_path: Path) -> None:
    secret = root / "amiws.yaml"
    secret.write_text("secret")
    (root / "hard.txt").hardlink_to(secret)
    (root / "soft.txt").symlink_to(secret)
    outside = tmp_path / "key.pem"
    outside.write_text("key")
    (root / "key.txt").hardlink_to(outside)
    link = tmp_path / "link.yaml"
    link.symlink_to(secret)
    files = StaticFiles(root, [tmp_path / "missing", link, outside])
    for path in ("/amiws.yaml", "/hard.txt", "/soft.txt", "/key.txt"):
        with pytest.raises(NotFound):
            files.open(path)
    assert read(files, "/index.html") == "top"


def test_a_private_file_that_was_replaced(root: Path) -> None:
    secret = root / "users"
    secret.write_text("one")
    files = StaticFiles(root, [secret])
    (root / "new").write_text("two")
    (root / "new").replace(secret)
    with pytest.raises(NotFound):
        files.open("/users")


def test_a_file_without_permission_is_not_there(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_arguments: Any) -> int:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(static.os, "open", denied)
    with pytest.raises(NotFound):
        StaticFiles(root).open("/index.html")


def test_without_descriptors_it_is_503(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_arguments: Any) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(static.os, "open", full)
    with pytest.raises(ServiceUnavailable):
        StaticFiles(root).open("/index.html")
    assert "Too many open files" in caplog.text


def test_a_refused_file_is_closed(root: Path) -> None:
    files = StaticFiles(root, [root / "index.html"])
    with pytest.raises(NotFound):
        files.open("/")
    gc.collect()  # an unclosed file is a ResourceWarning, and an error in tests


def test_has_index(root: Path) -> None:
    files = StaticFiles(root)
    assert files.has_index("/sub")
    assert not files.has_index("/empty")
    assert not files.has_index("/sub/deep")
    assert not files.has_index("/nothing")
    assert not files.has_index("/index.html")
    assert not files.has_index("/..")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("A.HTML", "text/html; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.json", "application/json"),
        ("a.js.map", "application/json"),
        ("a.webmanifest", "application/manifest+json"),
        ("a.wasm", "application/wasm"),
        ("a.woff2", "font/woff2"),
        ("a.ico", "image/x-icon"),
        ("a.png", "image/png"),
        ("a.jpeg", "image/jpeg"),
        ("a.mp3", "audio/mpeg"),
        ("a.wav", "audio/wav"),
        ("a.pdf", "application/pdf"),
        ("a.js.gz", "application/gzip"),
        ("a.unheard-of", "application/octet-stream"),
        ("README", "application/octet-stream"),
    ],
)
def test_content_types(name: str, expected: str) -> None:
    assert content_type(name) == expected


# Sending


def get(path: Path, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """What a client is sent for a file, and whether the file was closed (a warning if not)."""
    environ = create_environ("/", method=method)
    environ.update({"HTTP_" + name.upper(): value for name, value in headers.items()})
    response = file_response(StaticFiles(path.parent).open(f"/{path.name}"), environ)
    body, status, sent = run_wsgi_app(response, environ, buffered=True)
    return int(status.split()[0]), dict(sent), b"".join(body)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.txt"
    path.write_bytes(b"0123456789")
    return path


def test_a_whole_file(file: Path) -> None:
    status, headers, body = get(file)
    assert (status, body) == (200, b"0123456789")
    assert headers["Content-Length"] == "10"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["ETag"].startswith('"')
    assert headers["Last-Modified"].endswith("GMT")


def test_head(file: Path) -> None:
    status, headers, body = get(file, "HEAD", range="bytes=0-1")
    assert (status, body, headers["Content-Length"]) == (200, b"", "10")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    status, headers, body = get(tmp_path / "empty.txt", range="bytes=0-")
    assert (status, body, headers["Content-Length"]) == (200, b"", "0")


def test_not_modified(file: Path) -> None:
    _, headers, _ = get(file)
    for condition in (
        {"if_none_match": headers["ETag"]},
        {"if_none_match": f'"x", {headers["ETag"]}'},
        {"if_modified_since": headers["Last-Modified"]},
    ):
        status, again, body = get(file, **condition)
        assert (status, body) == (304, b"")
        assert again["ETag"] == headers["ETag"]
        assert "Content-Length" not in again


def test_modified(file: Path) -> None:
    _, headers, _ = get(file)
    file.write_bytes(b"abcdefghij")
    os.utime(file, (2_000_000_000, 2_000_000_000))
    for condition in (
        {"if_none_match": headers["ETag"]},
        {"if_modified_since": headers["Last-Modified"]},
    ):
        assert get(file, **condition)[2] == b"abcdefghij"


@pytest.mark.parametrize(
    ("wanted", "part", "content_range"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-10", b"0123456789", "bytes 0-9/10"),
        ("bytes=0-", b"0123456789", "bytes 0-9/10"),
    ],
)
def test_ranges(file: Path, wanted: str, part: bytes, content_range: str) -> None:
    status, headers, body = get(file, range=wanted)
    assert (status, body) == (206, part)
    assert headers["Content-Range"] == content_range
    assert headers["Content-Length"] == str(len(part))


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=x",
        "bytes=0-1,4-5",
        "lines=0-1",
        "bytes=1",
        "0-1",
        "bytes=5-2",
        "bytes=-99",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_ranges_that_are_ignored(file: Path, wanted: str) -> None:
    assert get(file, range=wanted)[::2] == (200, b"0123456789")


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_ranges_outside(file: Path, wanted: str) -> None:
    with pytest.raises(RequestedRangeNotSatisfiable) as raised:
        get(file, range=wanted)
    assert ("Content-Range", "bytes */10") in raised.value.get_headers()
    gc.collect()  # an unclosed file is a ResourceWarning, and an error in tests


def test_if_range(file: Path) -> None:
    _, headers, _ = get(file)
    assert get(file, range="bytes=0-1", if_range=headers["ETag"])[2] == b"01"
    assert get(file, range="bytes=0-1", if_range='"other"')[2] == b"0123456789"


def test_a_large_file_in_chunks_with_others_in_between(tmp_path: Path) -> None:
    path = tmp_path / "large"
    content = os.urandom(3 * CHUNK + 17)
    path.write_bytes(content)
    turns = []
    done = False

    def other() -> None:
        while not done:
            turns.append(1)
            gevent.sleep(0)

    greenlet = gevent.spawn(other)
    body = FileBody(path.open("rb"), 5, len(content))
    chunks = []
    for chunk in body:
        chunks.append(chunk)
        turns_before = len(turns)
        assert turns_before >= len(chunks) - 1
    done = True
    greenlet.join(WAIT)
    body.close()
    assert b"".join(chunks) == content[5:]
    assert max(map(len, chunks)) == CHUNK


def test_a_file_that_grows_is_cut(file: Path) -> None:
    body = FileBody(file.open("rb"), 0, 4)
    assert b"".join(body) == b"0123"
    body.close()


def test_a_file_that_shrinks_breaks_the_connection(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = FileBody(file.open("rb"), 0, 11)
    with pytest.raises(ConnectionResetError) as raised:
        b"".join(body)
    body.close()
    assert raised.value.errno == errno.ECONNRESET
    assert "shortened" in caplog.text
    assert not isinstance(raised.value, HTTPException)


def test_the_redirect_to_a_folder() -> None:
    response = redirect_to_folder("/größe ☎/a?b", "x=1&y=%20")
    location = response.headers["Location"]
    assert location == "/gr%C3%B6%C3%9Fe%20%E2%98%8E/a%3Fb/?x=1&y=%20"
    assert response.status_code == 301
