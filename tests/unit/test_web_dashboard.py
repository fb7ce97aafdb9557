"""How the pages that come with the program are sent, and what others get of it."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from amiws_gevent.resources import dashboard_root
from amiws_gevent.web import dashboard
from amiws_gevent.web.dashboard import is_dashboard, policy
from tests.unit.test_web_app import make_client, make_settings

SCRIPT = b"export const sum = (a, b) => a + b;\n" * 50
PACKED = gzip.compress(SCRIPT, mtime=0)
BROTLI = b"as if it were brotli"

OWN_HEADERS = {
    "Content-Security-Policy",
    "Permissions-Policy",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "Vary",
}


def fill(root: Path) -> Path:
    (root / "app").mkdir(parents=True)
    (root / "vendor" / "flags-0A1B2C3D").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html>")
    (root / "index.html.gz").write_bytes(gzip.compress(b"<!doctype html>", mtime=0))
    (root / "app" / "sum.js").write_bytes(SCRIPT)
    (root / "app" / "sum.js.gz").write_bytes(PACKED)
    (root / "app" / "sum.js.br").write_bytes(BROTLI)
    (root / "app" / "plain.js").write_bytes(SCRIPT)
    (root / "vendor" / "ui.js").write_text('export * from "./ui-ABCD2345.js";\n')
    (root / "vendor" / "ui-ABCD2345.js").write_bytes(SCRIPT)
    (root / "vendor" / "flags-0A1B2C3D" / "de.svg").write_text("<svg/>")
    (root / "favicon.ico").write_bytes(b"our icon")
    return root


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """Of a program whose own dashboard is the root."""
    root = fill(tmp_path / "shipped")
    monkeypatch.setattr(dashboard, "dashboard_root", lambda: root)
    return make_client(make_settings(root))


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """Of one with another root, in which there is the same."""
    shipped, root = fill(tmp_path / "shipped"), fill(tmp_path / "own")
    (root / "favicon.ico").unlink()
    monkeypatch.setattr(dashboard, "dashboard_root", lambda: shipped)
    return make_client(make_settings(root))


def get(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(path, headers=named)


# Compressed


@pytest.mark.parametrize(
    ("accepted", "encoding", "body"),
    [
        ("", None, SCRIPT),
        ("identity", None, SCRIPT),
        ("gzip", "gzip", PACKED),
        ("GZIP", "gzip", PACKED),
        ("gzip, deflate, br, zstd", "br", BROTLI),
        ("*", "br", BROTLI),
        ("br;q=0, *", "gzip", PACKED),
        ("*;q=0.5, br;q=0", "gzip", PACKED),
        ("br;q=0.5, gzip", "gzip", PACKED),
        ("br;q=0, gzip;q=0", None, SCRIPT),
        ("zstd", None, SCRIPT),
    ],
)
def test_the_best_that_the_client_takes(
    client: FlaskClient, accepted: str, encoding: str | None, body: bytes
) -> None:
    response = get(client, "/app/sum.js", Accept_Encoding=accepted)
    assert (response.status_code, response.data) == (200, body)
    assert response.headers.get("Content-Encoding") == encoding
    assert response.headers["Content-Length"] == str(len(body))
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Vary"] == "Accept-Encoding"


def test_without_a_compressed_file_it_is_sent_as_it_is(client: FlaskClient) -> None:
    response = get(client, "/app/plain.js", Accept_Encoding="br, gzip")
    assert response.data == SCRIPT
    assert "Content-Encoding" not in response.headers
    assert response.headers["Vary"] == "Accept-Encoding"


def test_the_index_of_a_folder_is_compressed_too(client: FlaskClient) -> None:
    response = get(client, "/", Accept_Encoding="gzip")
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


def test_each_coding_has_an_etag_of_its_own(client: FlaskClient) -> None:
    tags = {
        coding: get(client, "/app/sum.js", Accept_Encoding=coding).headers["ETag"]
        for coding in ("identity", "gzip", "br")
    }
    assert len(set(tags.values())) == 3
    for coding, tag in tags.items():
        for asked in tags:
            response = get(client, "/app/sum.js", Accept_Encoding=asked, If_None_Match=tag)
            assert response.status_code == (304 if asked == coding else 200)
            assert response.headers["Vary"] == "Accept-Encoding"
    assert not any(tag.startswith("W/") for tag in tags.values())


def test_a_range_is_one_of_the_file_itself(client: FlaskClient) -> None:
    response = get(client, "/app/sum.js", Accept_Encoding="br, gzip", Range="bytes=7-11")
    assert (response.status_code, response.data) == (206, SCRIPT[7:12])
    assert response.headers["Content-Range"] == f"bytes 7-11/{len(SCRIPT)}"
    assert "Content-Encoding" not in response.headers
    # Whoever has a part of the compressed file must not get one of the other.
    packed = get(client, "/app/sum.js", Accept_Encoding="gzip")
    again = get(client, "/app/sum.js", Range="bytes=7-11", If_Range=packed.headers["ETag"])
    assert (again.status_code, again.data) == (200, SCRIPT)


def test_head_says_what_get_would(client: FlaskClient) -> None:
    response = client.head("/app/sum.js", headers={"Accept-Encoding": "gzip"})
    assert (response.headers["Content-Length"], response.data) == (str(len(PACKED)), b"")


# Cached


@pytest.mark.parametrize("path", ["/vendor/ui-ABCD2345.js", "/vendor/flags-0A1B2C3D/de.svg"])
def test_a_name_with_a_hash_is_cached_for_ever(client: FlaskClient, path: str) -> None:
    assert get(client, path).headers["Cache-Control"] == "max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/", "/app/sum.js", "/vendor/ui.js"])
def test_any_other_is_asked_for_again(client: FlaskClient, path: str) -> None:
    assert get(client, path).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/vendor/ui-ABCD2346.js", "/vendor/flags-0A1B2C3D/xx.svg"])
def test_what_is_missing_is_not_cached(client: FlaskClient, path: str) -> None:
    response = get(client, path)
    assert (response.status_code, response.headers["Cache-Control"]) == (404, "no-cache")


# The policy


@pytest.mark.parametrize("path", ["/", "/app/sum.js", "/vendor/ui-ABCD2345.js"])
def test_the_dashboard_is_under_a_policy(client: FlaskClient, path: str) -> None:
    headers = get(client, path).headers
    assert headers["Content-Security-Policy"] == policy("localhost")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Cross-Origin-Opener-Policy" not in headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "camera=()" in headers["Permissions-Policy"]


def test_windows_are_kept_apart_where_browsers_heed_it(client: FlaskClient) -> None:
    headers = get(client, "/", Sec_Fetch_Site="none").headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def directives(text: str) -> dict[str, str]:
    return dict(part.strip().split(" ", 1) for part in text.split(";"))


def test_the_policy_allows_nothing_but_our_own() -> None:
    found = directives(policy(""))
    assert found.pop("default-src") == found.pop("base-uri") == "'none'"
    assert found.pop("form-action") == "'none'"
    assert found.pop("frame-ancestors") == "'self'"
    assert found.pop("require-trusted-types-for") == "'script'"
    assert found.pop("trusted-types") == "'none'"
    assert set(found.values()) == {"'self'"}


@pytest.mark.parametrize("host", ["pbx.example.com", "pbx.example.com:8443", "127.0.0.1:8000"])
def test_the_sockets_of_the_host_are_named(host: str) -> None:
    assert directives(policy(host))["connect-src"] == f"'self' ws://{host} wss://{host}"


@pytest.mark.parametrize(
    "host", ["", "a b", "x; script-src *", "x;y", "'unsafe-inline'", "*", "é.example", "[::1]:80"]
)
def test_an_odd_host_adds_nothing(host: str) -> None:
    assert policy(host) == policy("")


# A root of one's own


@pytest.mark.parametrize("path", ["/", "/app/sum.js", "/vendor/ui-ABCD2345.js"])
def test_pages_of_ones_own_are_served_as_ever(other: FlaskClient, path: str) -> None:
    response = get(other, path, Accept_Encoding="br, gzip")
    assert response.status_code == 200
    assert not OWN_HEADERS & set(response.headers.keys())
    assert "Content-Encoding" not in response.headers
    assert response.headers["Cache-Control"] == "no-cache"


def test_a_root_without_a_favicon_gets_ours(other: FlaskClient, tmp_path: Path) -> None:
    response = get(other, "/favicon.ico")
    assert (response.status_code, response.data) == (200, b"our icon")
    assert response.headers["Content-Type"] == "image/x-icon"
    assert get(other, "/sub/favicon.ico").status_code == 404
    (tmp_path / "own" / "favicon.ico").write_bytes(b"their icon")
    assert get(other, "/favicon.ico").data == b"their icon"


def test_no_favicon_is_no_fault(other: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(dashboard, "dashboard_root", missing)
    assert get(other, "/favicon.ico").status_code == 404


def test_the_dashboard_by_any_name(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(dashboard_root())
    assert is_dashboard(dashboard_root())
    assert is_dashboard(tmp_path / "link")
    assert not is_dashboard(tmp_path)
    assert not is_dashboard(tmp_path / "missing")


# What is shipped


def test_no_shipped_page_needs_more_than_the_policy_allows() -> None:
    pages: dict[str, Any] = {
        str(path): path.read_text(encoding="utf-8") for path in dashboard_root().rglob("*.html")
    }
    assert len(pages) >= 2
    inline = re.compile(r"<style|<script(?![^>]*\bsrc=)|\son[a-z]+=|\sstyle=|https?://")
    assert {name: inline.findall(text) for name, text in pages.items() if inline.search(text)} == {}


def test_this_checkout_has_a_favicon() -> None:
    icon = (dashboard_root() / "favicon.ico").read_bytes()
    assert icon.startswith(b"\0\0\1\0")


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [(("https://portal.example.com",), "'self' https://portal.example.com"), (("*",), "*")],
)
def test_who_may_have_the_dashboard_in_a_frame(origins: tuple[str, ...], allowed: str) -> None:
    assert directives(policy("localhost", origins))["frame-ancestors"] == allowed
