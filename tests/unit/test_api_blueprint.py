"""The routes over the test client: what is asked, what is answered, what is refused."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from amiws_gevent.actions import ActionProblem, ActionRequest, Reply
from amiws_gevent.api import blueprint
from amiws_gevent.api.models import AuditList, AuditRecord
from amiws_gevent.api.operations import OPERATIONS, PREFIX
from amiws_gevent.identity import Identity
from amiws_gevent.plugins.api import ClientInfo, Headers, RequestInfo
from amiws_gevent.web.app import ENVIRON_KEY
from amiws_gevent.web.tokens import hash_of, make_token
from tests.support.api import World
from tests.support.audited import MemoryTrail
from tests.unit.test_web_app import BufferedClient, make_settings

CHANNELS = [
    {"server": 1, "kind": "channel", "id": f"1.{n}", "uniqueid": f"1.{n}"} for n in range(5)
]
ACTION = {"server": 1, "action": {"Action": "QueueStatus"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "api" / "v1").mkdir(parents=True)
    (root / "api" / "v1" / "file.txt").write_text("a file")
    (root / "api" / "other.txt").write_text("another file")
    return root


class Site:
    def __init__(self, root: Path, world: World, **settings: Any) -> None:
        self.world = world
        app = world.app(make_settings(root, **settings))
        app.test_client_class = BufferedClient
        self.client = app.test_client()

    def get(self, path: str, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(PREFIX + path, headers=named)

    def post(self, body: object = None, **more: Any) -> TestResponse:
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        more.setdefault("content_type", "application/json")
        return self.client.post(f"{PREFIX}/actions", data=data, **more)


@pytest.fixture
def site(root: Path) -> Site:
    world = World()
    world.feeds.lists = {"channel": CHANNELS, "server": [{"server": 0, "kind": "server"}]}
    return Site(root, world)


def problem(response: TestResponse) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    told = json.loads(response.data)
    assert told["status"] == response.status_code
    assert told["type"] == f"/api/v1/#{told['code']}"
    return told["status"], told["code"]


# Lists


def test_entities_of_a_kind(site: Site) -> None:
    response = site.get("/state/channel?server=1,2&server=3&extension=100")
    assert response.json == {"position": "p1", "items": CHANNELS, "next": None}
    assert response.headers["Content-Type"] == "application/json"
    ((filters, kind, limit, after),) = site.world.feeds.asked
    assert (kind, limit, after) == ("channel", 1000, None)
    assert filters.as_json() == {"server": [1, 2, 3], "extension": ["100"]}


def test_a_list_in_several_answers(site: Site) -> None:
    first = site.get("/state/channel?limit=3").json
    assert first is not None
    rest = site.get(f"/state/channel?limit=3&next={first['next']}").json
    assert rest is not None
    assert first["items"] + rest["items"] == CHANNELS
    assert rest["next"] is None


def test_a_long_list_lets_others_have_their_turn(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[int] = []
    monkeypatch.setattr(blueprint, "yield_to_loop", lambda: turns.append(1))
    monkeypatch.setattr(blueprint, "ENTITIES_PER_TURN", 2)
    response = site.get("/state/channel").json
    assert response is not None
    assert response["items"] == CHANNELS
    assert len(turns) == 2


def test_the_servers(site: Site) -> None:
    response = site.get("/servers")
    assert response.json is not None
    assert response.json["items"] == [{"server": 0, "kind": "server"}]


def test_what_has_not_changed_is_not_sent(site: Site) -> None:
    first = site.get("/state/channel")
    tag = first.headers["ETag"]
    assert tag.startswith("W/")
    again = site.get("/state/channel", If_None_Match=f'"other", {tag}')
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == tag
    site.world.feeds.lists["channel"] = CHANNELS[1:]
    changed = site.get("/state/channel", If_None_Match=tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize("path", ["/state/channel", "/openapi.json", "/"])
def test_conditions_for_what_changes_something_are_passed_over(site: Site, path: str) -> None:
    """A weak tag never fulfils If-Match: else each answer would be 412, and no problem document."""
    tag = site.get(path).headers["ETag"]
    assert site.get(path, If_Match=tag).status_code == 200
    assert site.get(path, If_Match=tag, If_None_Match=tag).status_code == 304


def test_parts_of_a_list_have_tags_of_their_own(site: Site) -> None:
    site.world.feeds.lists["channel"] = [CHANNELS[0]] * 2
    first, last = site.get("/state/channel?limit=1"), site.get("/state/channel?limit=1&next=1")
    assert first.headers["ETag"] != last.headers["ETag"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/state/chanel", 404, "unknown_kind"),
        ("/state/channel?next=old", 410, "bad_cursor"),
        ("/state/channel?limit=0", 400, "bad_request"),
        ("/state/channel?limit=10001", 400, "bad_request"),
        ("/state/channel?limit=x", 400, "bad_request"),
        ("/state/channel?limit=1&limit=2", 400, "bad_request"),
        ("/state/channel?queu=x", 400, "bad_request"),
        ("/state/channel?kind=queue", 400, "bad_request"),
        ("/state/channel?server=x", 400, "bad_filter"),
        ("/state/channel?server=-1", 400, "bad_filter"),
        ("/state/channel?queue=", 400, "bad_filter"),
        ("/state/channel?queue=a,,b", 400, "bad_filter"),
        ("/state/channel?queue=" + "x" * 257, 400, "bad_filter"),
        ("/state/channel?queue=" + ",".join(["x"] * 257), 400, "bad_filter"),
        ("/servers?server=1", 400, "bad_request"),
        ("/state?kind=nothing", 400, "bad_filter"),
        ("/state?event=Hangup", 400, "bad_request"),
        ("/events?kind=call", 400, "bad_request"),
        ("/events?op=x", 400, "bad_request"),
        ("/nothing", 404, "not_found"),
        ("/file.txt", 404, "not_found"),
        ("/state/channel/1.1", 404, "not_found"),
    ],
)
def test_what_is_asked_wrongly(site: Site, path: str, status: int, code: str) -> None:
    assert problem(site.get(path)) == (status, code)
    assert site.world.feeds.feeds == []


def test_no_value_of_a_client_is_in_a_problem_of_its_form(site: Site) -> None:
    assert b"s3cret" not in site.get("/state/channel?limit=s3cret").data
    assert b"s3cret" not in site.post({"server": "s3cret", "action": 5}).data


# Actions


def test_an_action_and_its_replies(site: Site) -> None:
    response = site.post({"server": [2, 1], "action": {"Action": "Ping", "ActionID": "7"}})
    assert response.status_code == 200
    assert response.json is not None
    assert [reply["server"] for reply in response.json["replies"]] == [1, 2]
    assert response.json["replies"][0]["outcome"] == "answered"
    ((request, client),) = site.world.actions.requests
    assert (request.name, request.servers, request.action_id) == ("Ping", (2, 1), "7")
    assert (client.address, client.user, client.view) == ("127.0.0.1", None, "http")
    assert site.world.actions.submissions[0].cancelled, "nobody waits any more"


@pytest.mark.parametrize(
    ("body", "header", "key"),
    [
        ({}, None, None),
        ({"idempotency_key": "a"}, None, "a"),
        ({}, "b", "b"),
        ({"idempotency_key": "a"}, "b", "b"),
    ],
)
def test_an_idempotency_key(
    site: Site, body: dict[str, Any], header: str | None, key: str | None
) -> None:
    headers = {} if header is None else {"Idempotency-Key": header}
    assert site.post(ACTION | body, headers=headers).status_code == 200
    ((request, _),) = site.world.actions.requests
    assert request.idempotency_key == key


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_json"),
        (b"[]", "bad_json"),
        (b"{", "bad_json"),
        (b'{"server": 1, "server": 2}', "bad_json"),
        (b'{"x": NaN}', "bad_json"),
        (b'{"x": "\xff"}', "bad_json"),
        (b'{"x": "\\ud800"}', "bad_json"),
        (b'{"x": ' + b"[" * 50 + b"]" * 50 + b"}", "bad_json"),
        (b"[" * 100_000, "bad_json"),
        ({}, "bad_request"),
        ({"server": 1}, "bad_request"),
        ({"server": 1, "action": "Ping"}, "bad_request"),
        ({"server": 1, "action": {"Queue": "x"}}, "bad_request"),
        ({"server": 1, "action": {"Action": "Ping", "x": "a\r\nb"}}, "bad_request"),
        ({"server": [], "action": {"Action": "Ping"}}, "bad_request"),
        ({"server": 1.5, "action": {"Action": "Ping"}}, "bad_request"),
        ({**ACTION, "timeout": 0}, "bad_request"),
        ({**ACTION, "timeout": 1e9}, "bad_request"),
        ({**ACTION, "wait": "yes"}, "bad_request"),
        ({**ACTION, "idempotency_key": ""}, "bad_request"),
    ],
)
def test_a_body_that_is_no_action(site: Site, body: Any, code: str) -> None:
    assert problem(site.post(body)) == (400, code)
    assert site.world.actions.requests == []


def test_an_action_that_may_not_be_sent(site: Site) -> None:
    refused = site.post({"server": 1, "action": {"Action": "Logoff"}})
    assert problem(refused) == (403, "action_refused")


@pytest.mark.parametrize(
    ("code", "status", "retry_after"),
    [
        ("unknown_server", 404, None),
        ("not_allowed", 403, None),
        ("too_many_actions", 429, 0.5),
        ("idempotency_conflict", 422, None),
    ],
)
def test_a_problem_of_the_service(
    root: Path, code: str, status: int, retry_after: float | None
) -> None:
    def fails(request: ActionRequest, reply: Callable[[Reply, int], None]) -> None:
        raise ActionProblem(code, "the reason", retry_after)

    response = Site(root, World(answer=fails)).post(ACTION)
    assert problem(response) == (status, code)
    told = json.loads(response.data)
    assert told["detail"] == "the reason"
    assert told.get("retry_after") == retry_after
    assert response.headers.get("Retry-After") == (None if retry_after is None else "1")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/plain; x=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json-patch+json",
        "application/json; charset=utf-16",
        "application/json, text/plain",
    ],
)
def test_only_json_is_taken(site: Site, content_type: str | None) -> None:
    """Of the types that a page of another site can send without asking, none is."""
    assert problem(site.post(ACTION, content_type=content_type)) == (415, "unsupported_media_type")
    assert site.world.actions.requests == []


def test_json_in_other_spellings(site: Site) -> None:
    assert site.post(ACTION, content_type="Application/JSON; charset=UTF-8").status_code == 200
    compressed = site.post(ACTION, headers={"Content-Encoding": "gzip"})
    assert problem(compressed) == (415, "unsupported_media_type")


# Methods


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_other_methods_are_refused(site: Site, operation: Any) -> None:
    allowed = {"GET", "HEAD"} if operation.method == "GET" else {"POST"}
    path = PREFIX + operation.path.replace("{kind}", "channel")
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        if method in allowed:
            continue
        response = site.client.open(path, method=method, json={})
        if method != "HEAD":
            assert problem(response) == (405, "method_not_allowed"), method
        assert {one.strip() for one in response.headers["Allow"].split(",")} == allowed
    assert site.world.asked == [], "nobody was asked"


def test_unknown_paths_have_no_method(site: Site) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        response = site.client.open(f"{PREFIX}/none", method=method)
        assert problem(response) == (404, "not_found")


@pytest.mark.parametrize("start", ["", "/", "//", "///"])
def test_no_spelling_of_a_path_leads_past_the_gate(root: Path, start: str) -> None:
    tokens = [{"name": "crm", "hash": hash_of(make_token())}]
    app = World().app(make_settings(root, api_tokens=tokens))
    for operation in OPERATIONS:
        path = start + PREFIX.lstrip("/") + operation.path
        environ = EnvironBuilder(method=operation.method).get_environ()
        answer = run_wsgi_app(app, {**environ, "PATH_INFO": path}, buffered=True)
        assert answer[1].startswith("401 "), operation.id
        assert json.loads(b"".join(answer[0]))["code"] == "unauthorized"


def test_files_of_web_root_lose_to_the_api_alone(site: Site) -> None:
    assert site.client.get("/api/v1/file.txt").status_code == 404
    assert site.client.get("/api/other.txt").text == "another file"
    assert site.client.get("/api/v1").headers["Location"].endswith("/api/v1/")


# Who may


@pytest.mark.parametrize("path", ["/servers", "/state/channel", "/state", "/events"])
def test_a_plugin_decides_on_what_is_read(root: Path, path: str) -> None:
    world = World(refusal="not at night")
    token = make_token()
    site = Site(root, world, api_tokens=[{"name": "crm", "hash": hash_of(token)}])
    response = site.get(path, Authorization=f"Bearer {token}")
    assert problem(response) == (403, "not_allowed")
    assert json.loads(response.data)["detail"] == "not at night"
    ((request, user),) = world.asked
    assert (request.target, user) == (PREFIX + path, "token:crm")
    assert (world.feeds.feeds, world.feeds.asked) == ([], [])


def test_a_plugin_decides_on_who_may_act(root: Path) -> None:
    site = Site(root, World(refusal="not at night"))
    assert problem(site.post(ACTION)) == (403, "not_allowed")
    assert site.world.actions.requests == []


def test_a_user_is_known_to_actions(root: Path) -> None:
    token = make_token()
    site = Site(root, World(), api_tokens=[{"name": "crm", "hash": hash_of(token)}])
    assert problem(site.post(ACTION)) == (401, "unauthorized")
    assert site.post(ACTION, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    ((_, client),) = site.world.actions.requests
    assert client.user == "token:crm"


def test_a_fault_of_ours_is_a_problem_too(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the secret detail")

    site.world.feeds.page = fails  # type: ignore[assignment]
    response = site.get("/state/channel")
    assert problem(response) == (500, "internal")
    assert b"secret" not in response.data
    assert "the secret detail" in caplog.text


# Compressed

LONG = [{**channel, "note": "a long list " * 50} for channel in CHANNELS]


def test_a_long_list_is_compressed_for_those_who_take_it(site: Site) -> None:
    site.world.feeds.lists["channel"] = LONG
    plain, packed = site.get("/state/channel"), site.get("/state/channel", Accept_Encoding="gzip")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Length"] == str(len(packed.data))
    assert len(packed.data) < len(plain.data) / 3
    assert gzip.decompress(packed.data) == plain.data
    for response in (plain, packed):
        assert response.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] == packed.headers["ETag"], "a weak one is that of both"
    assert plain.headers["ETag"].startswith("W/")


def test_what_has_not_changed_is_not_sent_in_any_form(site: Site) -> None:
    site.world.feeds.lists["channel"] = LONG
    tag = site.get("/state/channel").headers["ETag"]
    again = site.get("/state/channel", If_None_Match=tag, Accept_Encoding="gzip")
    assert (again.status_code, again.data) == (304, b"")
    assert "Content-Encoding" not in again.headers
    assert again.headers["Vary"] == "Accept-Encoding"


def test_the_documents_are_compressed(site: Site) -> None:
    for path in ("/openapi.json", "/"):
        plain, packed = site.get(path), site.get(path, Accept_Encoding="br, gzip;q=0.5")
        assert gzip.decompress(packed.data) == plain.data
        tag = packed.headers["ETag"]
        assert site.get(path, If_None_Match=tag).status_code == 304


def test_a_short_answer_and_a_problem_stay_as_they_are(site: Site) -> None:
    for path in ("/me", "/state/channel?limit=1", "/state/nonsense"):
        assert "Content-Encoding" not in site.get(path, Accept_Encoding="gzip").headers


def test_with_the_setting_off_nothing_is_compressed(root: Path) -> None:
    site = Site(root, World(), compression=False)
    response = site.get("/openapi.json", Accept_Encoding="gzip")
    assert "Content-Encoding" not in response.headers
    assert "Accept-Encoding" not in response.headers.getlist("Vary")


# The document


def test_the_document_and_the_page(site: Site) -> None:
    response = site.get("/openapi.json")
    assert response.json is not None
    assert response.json["openapi"] == "3.1.0"
    again = site.get("/openapi.json", If_None_Match=response.headers["ETag"])
    assert again.status_code == 304
    page = site.get("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "script" not in page.headers["Content-Security-Policy"]


# Logout; what it ends is in test_web_logins.py and tests/integration/test_logins.py

PROXY: dict[str, Any] = {
    "auth_header": "Remote-User",
    "trusted_proxies": "10.0.0.1",
    "logout_url": "/oauth2/sign_out",
}


def asked_by_a_proxy(body: bytes = b"{}", **headers: str) -> dict[str, Any]:
    request = RequestInfo(
        "POST",
        f"{PREFIX}/logout",
        Headers([("Host", "localhost"), *headers.items()]),
        "http",
        "203.0.113.7",
        proxy="10.0.0.1",
    )
    return {
        "path": f"{PREFIX}/logout",
        "data": body,
        "content_type": "application/json",
        "environ_overrides": {ENVIRON_KEY: request},
    }


def test_a_logout_behind_a_proxy(root: Path) -> None:
    site = Site(root, World(), **PROXY)
    answer = site.client.post(**asked_by_a_proxy(**{"Remote-User": "anna"}))
    assert answer.json == {"logout_url": "/oauth2/sign_out"}
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_a_logout_needs_a_login_and_a_body(root: Path) -> None:
    site = Site(root, World(), **PROXY)
    assert site.client.post(**asked_by_a_proxy()).status_code == 403
    body = asked_by_a_proxy(b"x", **{"Remote-User": "anna"})
    assert problem(site.client.post(**body)) == (400, "bad_json")
    nobody = Site(root, World()).client.post(
        f"{PREFIX}/logout", data="{}", content_type="application/json"
    )
    assert problem(nobody) == (400, "bad_request")


def test_no_plugin_keeps_anybody_from_leaving(root: Path) -> None:
    site = Site(root, World(refusal="not you"), **PROXY)
    answer = site.client.post(**asked_by_a_proxy(**{"Remote-User": "anna"}))
    assert answer.status_code == 200


def test_an_action_tells_who_asks_and_how(root: Path) -> None:
    site = Site(root, World(), **PROXY)
    asked = asked_by_a_proxy(json.dumps(ACTION).encode(), **{"Remote-User": "anna"})
    asked["path"] = f"{PREFIX}/actions"
    asked["environ_overrides"][ENVIRON_KEY] = replace(
        asked["environ_overrides"][ENVIRON_KEY], target=f"{PREFIX}/actions"
    )
    assert site.client.post(**asked).status_code == 200
    ((_, client),) = site.world.actions.requests
    assert client.identity == Identity("anna", "proxy", "203.0.113.7")


# The audit


class TestAudit:
    @pytest.fixture
    def trail(self, root: Path) -> tuple[Site, MemoryTrail]:
        world = World()
        trail = MemoryTrail()
        world.api = dataclasses.replace(world.api, audit=trail)
        for n in range(5):
            client = ClientInfo("192.0.2.7", f"u{n % 2}", "http")
            trail.action(client, "Ping" if n else "QueuePause", [("Action", "x")], [1])
        trail.login("192.0.2.7", "u1", "digest", "")
        trail.remember()
        return Site(root, world), trail

    def seqs(self, response: TestResponse) -> list[int]:
        assert response.json is not None, response.data
        for item in response.json["items"]:
            AuditRecord.model_validate(item)
        AuditList.model_validate(response.json)
        return [item["seq"] for item in response.json["items"]]

    def test_the_newest_come_first(self, trail: tuple[Site, MemoryTrail]) -> None:
        site, _ = trail
        response = site.get("/audit")
        assert self.seqs(response) == [6, 5, 4, 3, 2, 1]
        assert response.json is not None
        assert (response.json["writing"], response.json["refusing"]) == (True, False)
        assert response.headers["Cache-Control"] == "private, no-cache"

    @pytest.mark.parametrize(
        ("query", "seqs"),
        [
            ("limit=2", [6, 5]),
            ("before=3", [2, 1]),
            ("after=4", [6, 5]),
            ("after=2&before=5", [4, 3]),
            ("after=2&before=5&limit=1", [4]),
            ("after=6", []),
            ("what=login", [6]),
            ("user=u1", [6, 4, 2]),
            ("action=queuepause", [1]),
            ("user=u0&limit=1&before=5", [3]),
            ("user=nobody", []),
        ],
    )
    def test_what_is_wanted(
        self, trail: tuple[Site, MemoryTrail], query: str, seqs: list[int]
    ) -> None:
        assert self.seqs(trail[0].get(f"/audit?{query}")) == seqs

    @pytest.mark.parametrize("query", ["limit=0", "limit=1001", "before=x", "after=-1", "who=me"])
    def test_mistakes(self, trail: tuple[Site, MemoryTrail], query: str) -> None:
        assert problem(trail[0].get(f"/audit?{query}")) == (400, "bad_request")

    def test_who_reads_is_recorded_once_for_all_pages(
        self, trail: tuple[Site, MemoryTrail]
    ) -> None:
        site, audit = trail
        before = len(audit.memory.records)
        for query in ("limit=2", "limit=2&before=5", "after=6", "what=login&user=u1", "before=x"):
            site.get(f"/audit?{query}")
        read, chosen = audit.memory.records[before:]
        assert (read["what"], read["view"], read["allowed"]) == ("read", "http", True)
        assert "address" in read
        assert "filter" not in read
        assert chosen["filter"] == {"what": "login", "user": "u1"}

    def test_an_outage_is_told(self, trail: tuple[Site, MemoryTrail]) -> None:
        site, audit = trail
        audit.fail("No space left on device")
        told = site.get("/audit").json
        assert told is not None
        assert (told["writing"], told["refusing"]) == (False, True)
        assert told["reason"] == "No space left on device"

    def test_not_all_may(self, trail: tuple[Site, MemoryTrail]) -> None:
        site, audit = trail
        asked: list[Identity] = []

        def nobody(client: Identity) -> bool:
            asked.append(client)
            return False

        audit.may_read = nobody
        before = len(audit.memory.records)
        for query in ("", "?user=u1", "?limit=0"):
            assert problem(site.get(f"/audit{query}")) == (403, "not_allowed")
        (refused,) = audit.memory.records[before:]
        assert (refused["what"], refused["view"], refused["allowed"]) == ("read", "http", False)
        assert refused["reason"] == "your roles do not allow to see the audit trail"
        assert {identity.kind for identity in asked} == {"none"}

    def test_who_may_not_any_more_once_it_is_there(
        self, trail: tuple[Site, MemoryTrail], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Collectors have seconds to say what they have recorded."""
        site, audit = trail
        last, may = audit.last, [True]

        def slow(*arguments: Any, **more: Any) -> Any:
            may[0] = False
            return last(*arguments, **more)

        monkeypatch.setattr(audit, "last", slow)
        audit.may_read = lambda _client: may[0]
        before = len(audit.memory.records)
        assert problem(site.get("/audit")) == (403, "not_allowed")
        assert [one["allowed"] for one in audit.memory.records[before:]] == [False]

    def test_without_an_audit(self, site: Site) -> None:
        assert problem(site.get("/audit")) == (409, "audit_off")

    def test_plugins_decide_too(self, root: Path) -> None:
        world = World(refusal="no")
        audit = MemoryTrail()
        world.api = dataclasses.replace(world.api, audit=audit)
        site = Site(root, world)
        assert problem(site.get("/audit")) == (403, "not_allowed")
        assert problem(site.get("/%61udit")) == (404, "not_found")
        (refused,) = audit.memory.records
        assert (refused["what"], refused["allowed"], refused["reason"]) == ("read", False, "no")
