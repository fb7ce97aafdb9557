"""The Flask application: the files of web_root and the blueprints, behind the gate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from wsgiref.types import WSGIEnvironment

import flask
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response

from amiws_gevent.config import Settings, named_paths
from amiws_gevent.web.dashboard import (
    FAVICON,
    dashboard_response,
    favicon_response,
    is_dashboard,
)
from amiws_gevent.web.gate import Gate, Headers, RequestInfo
from amiws_gevent.web.problem import PROBLEM_TYPE, is_api, problem_bytes
from amiws_gevent.web.static import StaticFiles, file_response, redirect_to_folder

# Where the web server's handler puts the RequestInfo of the raw request.
ENVIRON_KEY = "amiws.request"

_NO_INDEX = (
    "Not Found: web_root has no index.html. Put one into the folder that web_root of the "
    "configuration names, or remove web_root to get the dashboard that comes with the program."
)


def create_app(
    settings: Settings,
    gate: Gate,
    *,
    blueprints: Iterable[flask.Blueprint] = (),
    private_files: Iterable[Path] = (),
) -> flask.Flask:
    """A new application; it changes nothing outside itself.

    The gate checks every request once, first of all; ``flask.g.user`` is the user who logged
    in, or None, ``flask.g.grant`` the login, ``flask.g.identity`` whose it is. What is under
    ``/api/`` has checks of its own there, and all its errors are problem documents. The routes
    of ``blueprints`` come before the files of web_root. ``private_files`` are never served, nor
    are files that any setting of the configuration names, nor backups of either.
    """
    app = flask.Flask("amiws_gevent.web", static_folder=None, template_folder=None)
    # Each slash as it was sent: a merged `//` would be answered by a redirect.
    app.url_map.merge_slashes = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    _guard(app, gate)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    files = StaticFiles(settings.web_root, [*named_paths(settings), *private_files])
    own = is_dashboard(settings.web_root)
    _serve_files(app, files, settings.allowed_origins if own else None)
    app.register_error_handler(HTTPException, plain_error)
    return app


def request_info(environ: WSGIEnvironment) -> RequestInfo:
    """The handler's RequestInfo, or one made from the WSGI environ."""
    info = environ.get(ENVIRON_KEY)
    if isinstance(info, RequestInfo):
        return info
    headers = Headers(
        (key.removeprefix("HTTP_").replace("_", "-"), value)
        for key, value in environ.items()
        if key.startswith("HTTP_")
    )
    return RequestInfo(
        method=environ["REQUEST_METHOD"],
        target=environ.get("REQUEST_URI") or environ["PATH_INFO"],
        headers=headers,
        scheme="https" if environ["wsgi.url_scheme"] == "https" else "http",
        address=environ.get("REMOTE_ADDR", ""),
    )


def _guard(app: flask.Flask, gate: Gate) -> None:
    def ask_gate() -> Response | None:
        api = is_api(flask.request.environ["PATH_INFO"])
        check = gate.check_api if api else gate.check_request
        request = request_info(flask.request.environ)
        verdict = check(request)
        flask.g.user, flask.g.grant = verdict.user, verdict.grant
        flask.g.identity = verdict.grant.identity(request.address)
        if verdict.status != 200:
            response = flask.Response(verdict.body, verdict.status, list(verdict.headers))
            return _as_problem(response, verdict.detail) if api and verdict.body else response
        flask.g.headers = verdict.headers
        return None

    def add_headers(response: flask.Response) -> flask.Response:
        for name, value in flask.g.get("headers", ()):
            response.headers.add(name, value)
        # A browser must not take a text file for a script.
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-cache")
        if is_api(flask.request.environ["PATH_INFO"]):  # no page of others may even embed it
            response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

    app.before_request(ask_gate)
    app.after_request(add_headers)


def _serve_files(app: flask.Flask, files: StaticFiles, framed_by: Sequence[str] | None) -> None:
    """``framed_by``: who may have the dashboard in a frame; None: the files are others."""

    def serve(name: str = "") -> Response:
        environ = flask.request.environ
        path = _unquoted_path(environ)
        try:
            if framed_by is not None:
                return dashboard_response(files, path, environ, framed_by)
            return file_response(files.open(path), environ)
        except NotFound:
            if path == FAVICON and framed_by is None:
                return favicon_response(environ)
            if not path.endswith("/") and files.has_index(path):
                prefix = environ.get("SCRIPT_NAME", "")
                return redirect_to_folder(prefix + path, environ.get("QUERY_STRING", ""))
            if path == "/":
                raise NotFound(_NO_INDEX) from None
            raise

    app.add_url_rule("/", "files", serve)
    app.add_url_rule("/<path:name>", "files", serve)


def _unquoted_path(environ: WSGIEnvironment) -> str:
    """The path in Unicode; NotFound if it is not UTF-8, as no file is named so."""
    try:
        path: str = environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise NotFound from None
    return path


def plain_error(error: HTTPException) -> flask.Response:
    """One line of text, with the headers of the error (``Allow``, ``Content-Range``).

    Under ``/api/`` a problem document.
    """
    own_words = error.description != type(error).description
    text = error.description if own_words and error.description else error.name
    response = flask.Response(f"{error.code} {text}\n", error.code, error.get_headers())
    response.content_type = "text/plain; charset=utf-8"
    if is_api(flask.request.environ["PATH_INFO"]):
        return _as_problem(response, text)
    return response


def _as_problem(response: flask.Response, detail: str) -> flask.Response:
    """The same answer with a problem document in the place of its text."""
    response.set_data(problem_bytes(response.status_code, detail))
    response.content_type = PROBLEM_TYPE
    return response
