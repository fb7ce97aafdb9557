"""The application over the test client, and over a real server where raw bytes matter."""

from __future__ import annotations

import gc
import hashlib
import http.client
import json
import logging
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import flask
import gevent
import pytest
import requests
from flask.testing import FlaskClient
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer
from requests.auth import HTTPDigestAuth

from amiws_gevent.config import AmiHost, Settings
from amiws_gevent.web.app import ENVIRON_KEY, create_app, request_info
from amiws_gevent.web.gate import Gate, Headers, RequestInfo
from tests.support.patience import WAIT

REALM = "call centre"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub folder").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html>top")
    (root / "app.js").write_text("let a = 1")
    (root / "a b%20c.txt").write_text("spaces")
    (root / "größe.txt").write_text("umlaut")
    (root / ".htaccess").write_text("hidden")
    (root / "sub folder" / "index.html").write_text("sub")
    (tmp_path / "outside.txt").write_text("outside")
    return root


def make_settings(root: Path, *, login: bool = False, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "web_root": root,
        "amihosts": [{"name": "a", "host": "127.0.0.1", "username": "u", "secret": "s"}],
        **changes,
    }
    if login:
        path = root / "users"  # inside the root, where people do keep it
        write_users(path, "anna", "one")
        values |= {"auth_domain": REALM, "auth_file": path}
    return Settings.model_validate(values)


def write_users(path: Path, user: str, password: str) -> None:
    ha1 = hashlib.md5(f"{user}:{REALM}:{password}".encode()).hexdigest()
    path.write_text(f"{user}:{REALM}:{ha1}\n")


class BufferedClient(FlaskClient):
    """Ends each response as a server does, so that an unclosed file is the program's fault."""

    def open(self, *arguments: Any, **options: Any) -> Any:
        return super().open(*arguments, **{"buffered": True, **options})


def make_app(settings: Settings, **more: Any) -> flask.Flask:
    app = create_app(settings, Gate(settings), **more)
    app.test_client_class = BufferedClient
    return app


def make_client(settings: Settings, **more: Any) -> FlaskClient:
    return make_app(settings, **more).test_client()


@pytest.fixture
def client(root: Path) -> FlaskClient:
    return make_client(make_settings(root))


# Files


def test_the_index(client: FlaskClient) -> None:
    response = client.get("/")
    assert (response.status_code, response.text) == (200, "<!doctype html>top")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Security-Policy" not in response.headers
    assert "Set-Cookie" not in response.headers


def test_a_file_in_a_folder(client: FlaskClient) -> None:
    assert client.get("/sub%20folder/").text == "sub"
    assert client.get("/sub%20folder/index.html?x=1").text == "sub"
    assert client.get("/gr%C3%B6%C3%9Fe.txt").text == "umlaut"
    assert client.get("/a%20b%2520c.txt").text == "spaces"


def test_a_folder_without_its_slash(client: FlaskClient) -> None:
    response = client.get("/sub%20folder?x=%20y")
    assert response.status_code == 301
    assert response.headers["Location"] == "/sub%20folder/?x=%20y"


def test_not_found_is_one_line_without_paths(client: FlaskClient, root: Path) -> None:
    for path in ("/nothing", "/nothing/", "/.htaccess", "/gr%FF.txt", "/x%00", "/x%0ay"):
        response = client.get(path)
        assert (response.status_code, response.text) == (404, "404 Not Found\n")
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-cache"


def test_without_an_index_the_answer_says_what_to_do(tmp_path: Path) -> None:
    response = make_client(make_settings(tmp_path)).get("/")
    assert response.status_code == 404
    assert "web_root" in response.text
    assert response.text.count("\n") == 1
    assert str(tmp_path) not in response.text


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/%2e%2e%2foutside.txt",
        "/sub%20folder/..%2f..%2foutside.txt",
        "/..%5coutside.txt",
        "/..\\outside.txt",
        "/%2f%2fetc/passwd",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/outside.txt",
        "/%252e%252e/outside.txt",
        "/..%c0%afoutside.txt",
    ],
)
def test_no_way_out(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_no_redirect_leads_away(client: FlaskClient) -> None:
    for path in ("//evil.example", "//sub folder", "/\\evil.example", "///evil.example/", "/a//b"):
        response = client.get("/", environ_overrides={"PATH_INFO": path})
        assert response.status_code == 404
        assert "Location" not in response.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods(client: FlaskClient, method: str) -> None:
    for path in ("/", "/app.js", "/nothing"):
        response = client.open(path, method=method)
        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}
        assert response.text == "405 Method Not Allowed\n"


def test_head(client: FlaskClient) -> None:
    response = client.head("/app.js")
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Length"] == "9"
    assert client.head("/nothing").data == b""


def test_conditional_and_ranges(client: FlaskClient) -> None:
    etag = client.get("/app.js").headers["ETag"]
    response = client.get("/app.js", headers={"If-None-Match": etag})
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["Cache-Control"] == "no-cache"
    response = client.get("/app.js", headers={"Range": "bytes=4-6"})
    assert (response.status_code, response.data) == (206, b"a =")
    response = client.get("/app.js", headers={"Range": "bytes=100-"})
    assert (response.status_code, response.text) == (416, "416 Requested Range Not Satisfiable\n")
    assert response.headers["Content-Range"] == "bytes */9"


def test_the_programs_own_files_are_not_served(root: Path) -> None:
    (root / "amiws.pid").write_text("1")
    (root / "amiws.yaml").write_text("amihosts: []")
    (root / "amiws.yaml.bak").write_text("amihosts: []")
    (root / "ca.pem").write_text("authorities")
    (root / "code").mkdir()
    (root / "code" / "quiet.py").write_text("")
    (root / "code" / "keys.txt").write_text("")
    host = {"name": "a", "host": "h", "username": "u", "secret": "s", "ssl_ca": root / "ca.pem"}
    settings = make_settings(root, login=True, path=root / "amiws.yaml", auth_websocket=False)
    named = {
        "amihosts": (AmiHost.model_validate(host | {"id": 1}),),
        "plugin_dirs": (root / "code",),
    }
    settings = settings.model_copy(update=named)
    # The login is not in question here.
    app = create_app(settings, Gate(make_settings(root)), private_files=[root / "amiws.pid"])
    app.test_client_class = BufferedClient
    client = app.test_client()
    missing = client.get("/none").data
    for name in ("users", "amiws.yaml", "amiws.yaml.bak", "amiws.pid", "ca.pem", "code/quiet.py"):
        response = client.get(f"/{name}")
        assert (response.status_code, response.data) == (404, missing)
    assert client.get("/code/keys.txt").status_code == 404
    assert client.get("/app.js").status_code == 200


def test_a_fault_is_500_without_a_traceback(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    blueprint = flask.Blueprint("faulty", __name__)

    @blueprint.get("/fault")
    def fault() -> str:
        raise RuntimeError("the secret detail")

    response = make_client(make_settings(root), blueprints=[blueprint]).get("/fault")
    assert (response.status_code, response.text) == (500, "500 Internal Server Error\n")
    assert "the secret detail" in caplog.text


@pytest.mark.parametrize("host", ["", "a b", "\xff", "[::1", "a/b", "x:y", ":", "evil.example"])
def test_an_odd_host_is_no_error(client: FlaskClient, host: str) -> None:
    assert client.get("/", environ_overrides={"HTTP_HOST": host}).status_code in (200, 400)


# Blueprints


def test_blueprints_come_before_files_and_know_the_user(root: Path) -> None:
    blueprint = flask.Blueprint("mine", __name__, url_prefix="/mine/v1")

    @blueprint.post("/whoami")
    def whoami() -> dict[str, Any]:
        return {"user": flask.g.user}

    @blueprint.get("/teapot")
    def teapot() -> str:
        flask.abort(418, "short and stout")

    @blueprint.get("/own")
    def own() -> str:
        flask.abort(flask.Response("own answer", 409))

    settings = make_settings(root, login=True)
    client = make_client(settings, blueprints=[blueprint])
    assert client.post("/mine/v1/whoami").status_code == 401
    open_settings = make_settings(root)
    client = make_client(open_settings, blueprints=[blueprint])
    assert client.post("/mine/v1/whoami").json == {"user": None}
    assert client.get("/mine/v1/teapot").text == "418 short and stout\n"
    assert client.get("/mine/v1/own").text == "own answer"
    assert client.get("/mine/v1/whoami").status_code == 404


def api_app(settings: Settings) -> FlaskClient:
    blueprint = flask.Blueprint("api", __name__, url_prefix="/api/v1")

    @blueprint.get("/whoami")
    def whoami() -> dict[str, Any]:
        return {"user": flask.g.user}

    @blueprint.get("/fails")
    def fails() -> str:
        raise RuntimeError("the secret detail")

    return make_client(settings, blueprints=[blueprint])


def test_every_error_under_api_is_a_problem_document(root: Path) -> None:
    client = api_app(make_settings(root, allowed_hosts=[]))
    for path, method, host, status, code in (
        ("/api/v1/none", "GET", "x", 404, "not_found"),
        ("/api/", "GET", "x", 404, "not_found"),
        ("/api/v1/whoami", "POST", "x", 405, "method_not_allowed"),
        ("/api/v1/whoami", "OPTIONS", "x", 405, "method_not_allowed"),
        ("/api/v1/fails", "GET", "x", 500, "internal"),
        ("/api/v1/whoami", "GET", "evil.example", 403, "forbidden"),
    ):
        response = client.open(path, method=method, headers={"Host": host})
        assert response.status_code == status, path
        assert response.headers["Content-Type"] == "application/problem+json"
        told = json.loads(response.data)
        assert (told["status"], told["code"]) == (status, code)
        assert told["type"] == f"/api/v1/#{code}"
        assert "secret" not in told["detail"]
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert response.headers["Vary"] == "Origin"
    assert "GET" in client.post("/api/v1/whoami").headers["Allow"]


def test_a_login_under_api_is_asked_for_by_a_problem_document(root: Path) -> None:
    response = api_app(make_settings(root, login=True)).get("/api/v1/whoami")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Digest ")
    assert json.loads(response.data)["code"] == "unauthorized"
    assert json.loads(response.data)["detail"].startswith("This request needs a login")


def test_other_paths_have_other_words(root: Path) -> None:
    client = api_app(make_settings(root))
    for path in ("/apiv1/x", "/API/v1/whoami", "/x/api/"):
        assert client.get(path).text == "404 Not Found\n"


def test_two_apps_share_nothing(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "index.html").write_text("other")
    first, second = make_client(make_settings(root)), make_client(make_settings(other))
    assert first.get("/").text == "<!doctype html>top"
    assert second.get("/").text == "other"


# What the gate is asked


def test_the_request_as_the_handler_left_it() -> None:
    info = RequestInfo("GET", "/%41", Headers(), "https", "10.0.0.1")
    assert request_info({ENVIRON_KEY: info}) is info


def test_the_request_from_wsgi_alone() -> None:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/a b",
        "REQUEST_URI": "/a%20b?x",
        "wsgi.url_scheme": "https",
        "REMOTE_ADDR": "10.0.0.2",
        "HTTP_IF_NONE_MATCH": "x",
        "CONTENT_TYPE": "text/plain",
    }
    info = request_info(environ)
    assert (info.target, info.scheme, info.address) == ("/a%20b?x", "https", "10.0.0.2")
    assert dict(info.headers) == {"if-none-match": "x"}


# The login over a real server


class Handler(WSGIHandler):  # type: ignore[misc]  # untyped
    """Leaves the raw request for the gate, as the program's own handler does."""

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ[ENVIRON_KEY] = RequestInfo(
            self.command, self.path, Headers(self.headers.items()), "http", "127.0.0.1"
        )
        return environ


@contextmanager
def serve(settings: Settings) -> Iterator[int]:
    """The application under gevent's server in a thread of its own; yields the port."""
    ready = threading.Event()
    state: dict[str, Any] = {}

    def run() -> None:
        hub = gevent.get_hub()
        stop = hub.loop.async_()
        stopped = gevent.event.Event()
        stop.start(stopped.set)
        server = WSGIServer(
            ("127.0.0.1", 0),
            make_app(settings),
            handler_class=Handler,
            log=None,
            error_log=None,
            spawn=Pool(),  # so that stop() sees to the connections: none may outlive the loop
        )
        server.start()
        state.update(port=server.server_port, stop=stop)
        ready.set()
        stopped.wait()
        server.stop(1)
        stop.close()
        # A socket that waits for the garbage collector would meet a loop that is no more.
        del server
        gevent.sleep(0.01)
        gc.collect()
        hub.destroy(destroy_loop=True)

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(WAIT)
    try:
        yield state["port"]
    finally:
        state["stop"].send()
        thread.join(WAIT)
    assert not thread.is_alive()


Serve = Callable[[Settings], AbstractContextManager[int]]


def test_requests_logs_in(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "a b&c.txt").write_text("odd")
    with serve(make_settings(root, login=True)) as port, requests.Session() as session:
        base = f"http://127.0.0.1:{port}"
        assert session.get(base).status_code == 401
        session.auth = HTTPDigestAuth("anna", "one")
        for path in ("/", "/app.js?a=%20&b=%2F", "/a%20b&c.txt", "/gr%C3%B6%C3%9Fe.txt", "/x?"):
            assert session.get(base + path).status_code == (404 if path == "/x?" else 200)
        assert session.head(base + "/app.js").headers["Content-Length"] == "9"
        assert "amiws_session_8000" in session.cookies
        session.auth = HTTPDigestAuth("anna", "two")
        assert session.get(base).status_code == 401
        write_users(root / "users", "anna", "two")
        assert session.get(base).status_code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.slow
def test_two_pages_side_by_side_with_one_nonce(root: Path) -> None:
    """Browsers answer many requests with one nonce, and those arrive in any order."""
    with serve(make_settings(root, login=True)) as port, requests.Session() as session:
        url = f"http://127.0.0.1:{port}/"
        auth = HTTPDigestAuth("anna", "one")
        assert session.get(url, auth=auth).status_code == 200
        prepared = [
            session.prepare_request(requests.Request("GET", url, auth=auth)) for _ in range(6)
        ]
        answers = [session.send(request) for request in reversed(prepared)]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert all(not answer.history for answer in answers)


CURL = shutil.which("curl")


def curl(*arguments: str) -> str:
    assert CURL is not None
    command = [CURL, "-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}"]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout


def test_curl_logs_in(root: Path) -> None:
    with serve(make_settings(root, login=True)) as port:
        url = f"http://127.0.0.1:{port}/app.js?a=%20b,c"
        assert curl(url) == "401"
        assert curl("--digest", "-u", "anna:one", url) == "200"
        assert curl("--digest", "-u", "anna:one", "-I", url) == "200"
        assert curl("--digest", "-u", "anna:one", url, "-o", "/dev/null", url) == "200200"
        assert curl("--digest", "-u", "anna:two", url) == "401"
        assert curl("--digest", "-u", "eve:one", url) == "401"
        assert curl("--basic", "-u", "anna:one", url) == "401"
        assert curl("--digest", "-u", "anna:one", "-X", "POST", url) == "405"


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize(
    "target",
    [
        b"/../outside.txt",
        b"/sub%20folder/../../outside.txt",
        b"/..%2f..%2foutside.txt",
        b"/%2e%2e/outside.txt",
        b"/..\\outside.txt",
        b"//etc/passwd",
        b"/%00",
        b"/\xff\xfe",
        b"../outside.txt",
        b"outside.txt",
        b"*",
        b"/.htaccess",
    ],
)
@pytest.mark.slow
def test_raw_targets(root: Path, target: bytes) -> None:
    with serve(make_settings(root)) as port:
        answer = raw(port, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"outside" not in answer


def test_a_large_file_is_whole_while_others_are_served(root: Path) -> None:
    content = os.urandom(8 * 1024 * 1024)
    (root / "large.wav").write_bytes(content)
    with serve(make_settings(root)) as port:
        slow = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
        slow.request("GET", "/large.wav")
        response = slow.getresponse()
        # Its answer is under way and nobody reads it: the next is served all the same.
        assert requests.get(f"http://127.0.0.1:{port}/app.js", timeout=WAIT).text == "let a = 1"
        assert response.read() == content
        slow.close()
