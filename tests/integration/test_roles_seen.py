"""Each way out, each kind of entity and events, by the five roles of the annotated sample.

What a role shows is said here in a few words of its own; the policy is not asked.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from amiws_gevent.api.blueprint import Api
from amiws_gevent.config import Limits
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.identity import Identity
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.policy import Rights
from amiws_gevent.state.dimensions import ATTRIBUTES, BY_FIELD
from amiws_gevent.v2.service import Service
from amiws_gevent.web.frames import text_frames
from tests.support import api
from tests.support.feeds import FakeTransport, merge
from tests.support.feeds import World as FeedWorld
from tests.support.policy import policy
from tests.unit.test_web_app import make_settings

SAMPLE = Path(__file__).parent.parent.parent / "etc" / "amiws-annotated.yaml"
USER = {"interface": "PJSIP/204", "extension": "204", "queues": ["support", "sales"]}

NUMBER, NAME, TEXT = "0301234567", "Alice Secret", "a note"
HAS = [
    {"queue": "support", "extension": NUMBER, "context": "internal"},
    {"queue": "other", "extension": "204", "context": "internal"},
    {"queue": "other", "extension": NUMBER, "context": "outbound"},
]
"""What three entities of each kind, and three events, have."""
EVENTS = {"QueueCallerJoin": True, "Newchannel": True, "Hangup": False, "UserEvent": False}
"""Whether they have a queue, an extension and a context."""


def sample_roles() -> dict[str, Any]:
    """Those of the sample that show something, without the signs that make them comments."""
    text = SAMPLE.read_text(encoding="utf-8")
    part = text[text.index("#roles:\n") :].partition("\n# Users by")[0]
    lines = [re.sub(r"^( *)#(?! )", r"\1", line) for line in part.splitlines()]
    roles: dict[str, Any] = yaml.safe_load("\n".join(lines))["roles"]
    return {name: role for name, role in roles.items() if "see" in role}


ROLES = sample_roles()


def fields_of(kind: str, has: dict[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"state": "up", "comment": TEXT}
    for dimension, paths in ATTRIBUTES[kind].items():
        for path in paths:
            name, dot, member = path.partition(".")
            value = has[dimension]
            if (kind, name) in (("device", "device"), ("queue_member", "interface")):
                value = f"PJSIP/{value}"
            elif (kind, name) == ("mailbox", "mailbox"):
                value = f"{has['extension']}@{has['context']}"
            fields[name] = {member: value, "name": NAME} if dot else value
    return fields


def seen_by(sees: Any, what: str, named: dict[str, str]) -> list[dict[str, Any]]:
    """The mappings of a role that show something; ``what`` are "kinds" or "events"."""
    listed = {"everything": [{}]}.get(sees) if isinstance(sees, str) else sees
    listed = [listed] if isinstance(listed, dict) else listed or []
    return [see for see in listed if _fits(see, what, named)]


def _fits(see: dict[str, Any], what: str, named: dict[str, str]) -> bool:
    for key, name in ((what, "name"), *((f"{one}s", one) for one in BY_FIELD)):
        wanted = see.get(key)
        if wanted is None:
            continue
        if wanted in ("{user.queues}", "{user.extension}"):
            wanted = USER[wanted[6:-1]]
        wanted = [wanted] if isinstance(wanted, str) else wanted
        if not any(fnmatch.fnmatchcase(named.get(name, ""), one) for one in wanted):
            return False
    return True


class Site:
    """Feeds with all kinds, and each way out of them, for whoever has the rights of now."""

    def __init__(self, tmp_path: Path, role: str) -> None:
        self.role = role
        self.use(role)
        self.feeds_world = world = FeedWorld(0, 1, 2)
        for server in (1, 2):
            world.servers[0].put("server", str(server), name=f"pbx{server}", calls_by_minute=[7])
            for kind in ATTRIBUTES:
                for number, has in enumerate(HAS):
                    if kind != "server":
                        world.servers[server].put(kind, str(number), **fields_of(kind, has))
        world.flush()
        feeds: Feeds = world.feeds
        self.api_world = api.World(feeds=feeds, heartbeat=0.01)  # type: ignore[arg-type]
        self.api = self.api_world.api = Api(
            feeds,
            self.api_world.actions,
            self.api_world.streams,
            self.api_world.audit,
            self.rights_of,
        )
        app = self.api_world.app(make_settings(tmp_path))
        self.http = app.test_client()
        self.v2 = Service(feeds, self.api_world.actions, Limits(), self.rights_of)

    def use(self, role: str) -> None:
        made = policy(ROLES, users={"u": {"roles": role, **USER}}, servers={1: "pbx1", 2: "pbx2"})
        self.rights = made.rights("u")

    def rights_of(self, _: Identity) -> Rights:
        return self.rights

    def happens(self) -> None:
        """All events, on both servers."""
        for server in (1, 2):
            for name, has_all in EVENTS.items():
                for has in HAS:
                    headers = {"Note": TEXT, "Channel": f"PJSIP/{NUMBER}-1"}
                    if has_all:
                        headers |= {"Queue": has["queue"], "CallerIDNum": has["extension"]}
                        headers |= {"Context": has["context"], "CallerIDName": NAME}
                    self.feeds_world.says(name, server=server, **headers)
        self.feeds_world.pass_on()

    # What is expected

    def entities(self) -> dict[tuple[int, str], int]:
        """How many are seen, by server and kind."""
        found: dict[tuple[int, str], int] = {(0, "server"): 2}
        for kind in ATTRIBUTES:
            for has in HAS:
                named = {one: has[one] for one in ATTRIBUTES[kind]} | {"name": kind}
                if kind != "server" and seen_by(ROLES[self.role]["see"], "kinds", named):
                    for server in (1, 2):
                        found[server, kind] = found.get((server, kind), 0) + 1
        return found

    def events(self) -> list[str]:
        """The names of those that are seen of one server."""
        found = []
        for name, has_all in EVENTS.items():
            for has in HAS:
                shown = seen_by(
                    ROLES[self.role]["see"], "events", {"name": name, **(has if has_all else {})}
                )
                whole = any("numbers" not in see and "names" not in see for see in shown)
                if shown and (whole or name != "UserEvent"):
                    found.append(name)
        return found

    def check_entities(self, items: list[dict[str, Any]], kind: str | None = None) -> None:
        counted: dict[tuple[int, str], int] = {}
        for item in items:
            place = (item["server"], item["kind"])
            counted[place] = counted.get(place, 0) + 1
            self.check_texts(item)
            if item["kind"] == "server":
                limited = self.role in ("supervisor", "agent", "wallboard")
                assert item["calls_by_minute"] == (None if limited else [7])
        wanted = self.entities()
        assert counted == {p: n for p, n in wanted.items() if kind is None or p[1] == kind}

    def check_texts(self, item: dict[str, Any]) -> None:
        text = json.dumps(item)
        if self.role == "wallboard":
            assert NUMBER not in text
            assert NAME not in text
            assert TEXT not in text
        elif self.role == "agent" and "204" not in text:  # of the own queue, not the own phone
            assert NUMBER not in text
            assert TEXT not in text


class V2Client:
    """What a client of `amiws.v2` is told."""

    encode = staticmethod(text_frames)

    def __init__(self, site: Site) -> None:
        self.told: list[dict[str, Any]] = []
        self.outlet = FakeTransport(self._frames)
        self.outlet.use_source = self._use_source  # type: ignore[attr-defined]
        self.blocked = False
        made: Any = self
        self.session = site.v2.open(made, ClientInfo("192.0.2.7:5000", "u", "v2"))

    def _use_source(self, make: Any) -> None:
        self.outlet.feed = make()

    def _frames(self, data: bytes) -> None:
        while data:
            size, begin = data[1], 2
            if size > 125:
                begin += 2 if size == 126 else 8
                size = int.from_bytes(data[2:begin])
            self.told.append(json.loads(data[begin : begin + size]))
            data = data[begin + size :]

    def send_text(self, text: bytes) -> None:
        self.told.append(json.loads(text))

    def read(self) -> None:
        while self.outlet.turn():
            pass


def stream_of(site: Site, path: str) -> Iterator[list[dict[str, Any]]]:
    """What a stream has told, whenever it falls silent."""
    response = site.http.get(f"/api/v1/{path}", buffered=False)
    told: list[dict[str, Any]] = []
    for piece in response.iter_encoded():
        if b": still here" in piece:
            yield told
            told = []
        told += [json.loads(line[6:]) for line in piece.splitlines() if line[:6] == b"data: "]


@pytest.fixture(params=sorted(ROLES))
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return Site(tmp_path, request.param)


def test_the_sample_has_five_roles() -> None:
    assert len(ROLES) == 5


def test_lists(site: Site) -> None:
    for kind in ATTRIBUTES:
        items: list[dict[str, Any]] = []
        after = ""
        while True:
            told = site.http.get(f"/api/v1/state/{kind}?limit=2{after}").json
            assert told is not None
            items += told["items"]
            if told["next"] is None:
                break
            assert len(told["items"]) == 2
            after = f"&next={told['next']}"
        site.check_entities(items, kind)
    servers = site.http.get("/api/v1/servers").json
    assert servers is not None
    site.check_entities(servers["items"], "server")


@pytest.mark.parametrize("kind", ["call", "server"])
def test_a_reload_amid_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A long list, and one that other edges may go on with, lets others run."""
    site = Site(tmp_path, "administrator")
    page = site.api.feeds.page

    def slow(*arguments: Any) -> Any:
        made = page(*arguments)
        site.use("wallboard")
        return made

    monkeypatch.setattr(site.api.feeds, "page", slow)
    told = site.http.get("/api/v1/servers" if kind == "server" else f"/api/v1/state/{kind}").json
    assert told is not None
    site.role = "wallboard"
    site.check_entities(told["items"], kind)


def test_streams(site: Site) -> None:
    streams = {name: stream_of(site, name) for name in ("state", "events")}
    begun = {name: next(stream) for name, stream in streams.items()}
    pages = [one for one in begun["state"] if one["op"] == "snapshot"]
    site.check_entities([item for page in pages for item in page["items"]])
    site.happens()
    told = [one["message"] for one in next(streams["events"]) if one["op"] == "event"]
    for server in (1, 2):
        events = [one["data"]["Event"] for one in told if one["server_id"] == server]
        assert events == site.events()
    for one in told:
        site.check_texts(one["data"])
    for stream in streams.values():
        stream.close()  # type: ignore[attr-defined]


def test_v2(site: Site) -> None:
    client = V2Client(site)
    (hello,) = client.told
    site.check_entities(hello["servers"], "server")
    assert hello["may"]["rights"]["roles"] == [site.role]
    asked = {"op": "subscribe", "id": 1, "streams": ["state", "events"]}
    client.session.received(json.dumps(asked))
    client.read()
    site.happens()
    items = [i for one in client.told if one["op"] == "snapshot" for i in one["items"]]
    site.check_entities(items)
    told = [one["message"]["data"] for one in client.told if one["op"] == "event"]
    assert [one["Event"] for one in told] == site.events() * 2
    for one in told:
        site.check_texts(one)


def test_a_reload_to_each_other_role(tmp_path: Path) -> None:
    site = Site(tmp_path, "administrator")
    client = V2Client(site)
    client.session.received(json.dumps({"op": "subscribe", "id": 1, "streams": ["state"]}))
    stream = stream_of(site, "state")
    next(stream)
    for role in [*sorted(ROLES), *sorted(ROLES, reverse=True)]:
        changed = role != site.role and {role, site.role} != {"administrator", "operator"}
        client.read()
        client.told.clear()
        site.role = role
        site.use(role)
        client.session.use_rights(site.rights)
        site.api.use_rights()
        client.read()
        for told in (client.told, next(stream)):
            assert [one["reason"] for one in told if one["op"] == "gap"] == ["rights"] * changed
            collection: dict[Any, Any] = {}
            for one in told:
                merge(collection, one.get("items", []))
            if changed:
                site.check_entities(list(collection.values()))
            else:
                assert collection == {}
    stream.close()  # type: ignore[attr-defined]
