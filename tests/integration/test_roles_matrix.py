"""What each role sees of a story that the servers tell, by each way out of the program.

The administrator is told all. What each other user should be told of it is made of the roles in the
configuration and of the words in docs/roles.md: the policy is not asked. Each client must have just
that, and no byte that any of them was sent may have a secret of what its user does not see.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from amiws_gevent.state.dimensions import ATTRIBUTES, HEADERS, found
from tests.support.ami_server import AmiServer
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import Program, wait_until
from tests.support.redis_server import RedisServer
from tests.support.role_site import RoleSite, sample_roles
from tests.support.role_story import CASES, Story, Subject, begins, ends, last
from tests.support.site import CollectorProgram
from tests.support.sse import EventSource
from tests.support.v2_client import Collection, V2Client, key_of
from tests.support.ws_client import Client

SERVERS = (1, 2)
GETVAR = {"action": "Getvar", "with": {"Variable": "SECRET"}}
ROLES: dict[str, Any] = yaml.safe_load(sample_roles())["roles"] | {
    # Ways to be limited that the five of the sample do not have.
    "site": {"see": {"servers": "pbx1"}, "do": ["QueueStatus", GETVAR]},
    "place": {"see": {"contexts": "internal", "names": "masked"}, "do": ["QueueStatus"]},
    "mixed": {
        "see": [
            {"servers": "pbx1", "contexts": "internal"},
            {"servers": "pbx2", "queues": "support", "numbers": "masked"},
        ],
        "do": ["QueueStatus"],
    },
}
USERS: dict[str, dict[str, Any]] = {
    "ada": {"roles": ["administrator"]},
    "otto": {"roles": ["operator"], "interface": "PJSIP/210", "extension": "210"},
    "sue": {"roles": ["supervisor"]},
    "bob": {
        "roles": ["agent"],
        "interface": "PJSIP/204",
        "extension": "204",
        "queues": ["support"],
    },
    "wall": {"roles": ["wallboard"]},
    "one": {"roles": ["site"]},
    "cora": {"roles": ["place"]},
    "max": {"roles": ["mixed"]},
    "nina": {"roles": []},
}
WHOLE = ("ada", "otto")  # who see all
CLASSIC = (*WHOLE, "one")  # to whom the classic socket is open
NOBODY = "nina"

PARTS = ("a", "b")  # of the story: what there was, and what comes while clients are connected
SUBJECTS = [Subject(server, part, case) for part in PARTS for server in SERVERS for case in CASES]

FREE_TEXT = ("UserEvent", "VarSet", "Invented")
"""Events that nobody is shown to whom callers are masked."""
OF_ALL_CALLS = ("calls_by_minute", "rtp_incoming", "rtp_outgoing", "healed")
MOVING = ("last_event", *OF_ALL_CALLS)
"""Fields of a server that change by themselves."""

Message = Mapping[str, Any]

# What a user should see, in a few words of its own


def sees(user: str) -> list[dict[str, Any]]:
    """The mappings of a user's roles, each with all patterns filled in."""
    listed: list[dict[str, Any]] = []
    for role in USERS[user]["roles"]:
        see = ROLES[role]["see"]
        listed += [{}] if see == "everything" else [see] if isinstance(see, dict) else see
    return [
        {
            name: [str(one) for one in filled(user, value)] if name not in LEVELS else value
            for name, value in see.items()
        }
        for see in listed
    ]


LEVELS = ("numbers", "names")
LIMITS = {"queues": "queue", "extensions": "extension", "contexts": "context"}


def filled(user: str, value: Any) -> list[Any]:
    listed = value if isinstance(value, list) else [value]
    made: list[Any] = []
    for one in listed:
        attribute = re.fullmatch(r"\{user\.(\w+)\}", str(one))
        known = USERS[user].get(attribute[1]) if attribute else one
        made += known if isinstance(known, list) else [known]
    return made


def one_of(values: Any, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(value, each) for value in values for each in patterns)


def of_server(see: Mapping[str, Any], server: int) -> bool:
    return "servers" not in see or one_of((f"pbx{server}", str(server)), see["servers"])


def showing_entity(user: str, item: Message) -> list[dict[str, Any]]:
    """The mappings that show an entity."""
    kind = item["kind"]
    if kind == "server":
        return [see for see in sees(user) if of_server(see, int(item["id"]))]
    return [
        see
        for see in sees(user)
        if of_server(see, item["server"])
        and kind in see.get("kinds", [kind])
        and all(
            one_of(found(dimension, kind, item), see[name])
            for name, dimension in LIMITS.items()
            if name in see
        )
    ]


def showing_event(user: str, message: Message) -> list[dict[str, Any]]:
    """The mappings that show an event."""
    data = message["data"]
    shown = [
        see
        for see in sees(user)
        if of_server(see, message["server_id"])
        and one_of([data["Event"].lower()], [one.lower() for one in see.get("events", ["*"])])
        and all(
            one_of([data[header] for header in HEADERS[dimension] if header in data], see[name])
            for name, dimension in LIMITS.items()
            if name in see
        )
    ]
    return [] if data["Event"] in FREE_TEXT and is_masked(shown) else shown


def level(shown: Sequence[Mapping[str, Any]], what: str) -> str:
    """The most that one of the mappings shows of numbers or names."""
    given = [see.get(what, "whole") for see in shown]
    return next(level for level in ("whole", "masked", "none") if level in given)


def is_masked(shown: Sequence[Mapping[str, Any]]) -> bool:
    return bool(shown) and any(level(shown, what) != "whole" for what in LEVELS)


def has_pseudonyms(user: str) -> bool:
    return any(see.get("numbers", "whole") != "whole" for see in sees(user))


def sees_all_calls(user: str, server: int) -> bool:
    return any(
        of_server(see, server)
        and not LIMITS.keys() & see.keys()
        and "call" in see.get("kinds", ["call"])
        for see in sees(user)
    )


def allowed(user: str, told: Sequence[tuple[list[dict[str, Any]], Message]]) -> set[str]:
    """The secrets that a user may read, of what each mapping shows."""
    known: set[str] = set()
    for shown, what in told:
        text = json.dumps(what)
        for one in SUBJECTS:
            hidden = {one.text} if is_masked(shown) else set()
            if level(shown, "numbers") != "whole":
                hidden |= {one.number, one.other}
            if level(shown, "names") != "whole":
                hidden.add(one.name)
            known |= {secret for secret in one.secrets if secret in text and secret not in hidden}
    return known


# How what is shown is compared with what there is


def alike(text: str) -> str:
    """With the same sign for a number and its pseudonym."""
    return re.sub(r"#[a-p]{48,}|[0-9]{6,}", "#", text)


def plain(user: str, value: Any) -> Any:
    """A value as it is to be compared."""
    if isinstance(value, dict):
        return {name: plain(user, one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(user, one) for one in value]
    return alike(value) if isinstance(value, str) and has_pseudonyms(user) else value


def fits(shown: Any, there: Any) -> bool:
    """Whether a masked value may be that of what there is; that it has no secret is seen apart."""
    if isinstance(there, dict) and shown is not None:
        return set(shown) <= set(there) and all(fits(shown[name], there[name]) for name in shown)
    if isinstance(there, list) and shown is not None:
        return len(shown) == len(there) and all(map(fits, shown, there))
    if shown is None or not isinstance(there, str):
        return shown is None or shown == there
    return alike(shown) == alike(there) or "*" in shown


def name_of(user: str, item: Message) -> tuple[int, str, str, str]:
    """Of several with a pseudonym in the id, one is known by what else it alone has."""
    server, kind, key = key_of(dict(item))
    if not has_pseudonyms(user):
        return server, kind, key, ""
    tags = re.findall(r"id(z[pq][ab][qecn])", json.dumps(item))
    return server, kind, alike(key), (*tags, str(item.get("new")))[0]


def check_entities(user: str, got: Sequence[Message], there: Sequence[Message]) -> None:
    """That a user has all entities that it may see of those that there are, as it may see them."""
    wanted = {name_of(user, one): one for one in there if showing_entity(user, one)}
    have = {name_of(user, one): one for one in got}
    assert have.keys() == wanted.keys()
    assert len(have) == len(got)
    for name, item in have.items():
        check_entity(user, item, wanted[name])


def check_entity(user: str, item: Message, there: Message) -> None:
    if item["kind"] == "server":
        whole = sees_all_calls(user, int(item["id"]))
        assert [item[name] is not None for name in OF_ALL_CALLS] == [whole] * len(OF_ALL_CALLS)
        item, there = ({n: v for n, v in one.items() if n not in MOVING} for one in (item, there))
        assert item == there
        return
    shown = showing_entity(user, there)
    if not is_masked(shown):
        assert plain(user, dict(item)) == plain(user, dict(there))
        return
    assert set(item) == set(there)
    for name, value in item.items():
        assert fits(value, there[name]), (name, value, there[name])
        if isinstance(there[name], int | float | bool):
            assert value == there[name], name


def check_events(user: str, got: Sequence[Message], there: Sequence[Message]) -> None:
    """The same for events, of each server in order."""
    for server in SERVERS:
        wanted = [one for one in there if one["server_id"] == server and showing_event(user, one)]
        have = [one for one in got if one["server_id"] == server]
        assert [one["data"]["Event"] for one in have] == [one["data"]["Event"] for one in wanted]
        for shown, one in zip(have, wanted, strict=True):
            if not is_masked(showing_event(user, one)):
                assert plain(user, dict(shown)) == plain(user, dict(one))
            assert fits(dict(shown), dict(one)), (shown, one)


# The clients


class Reader:
    """Keeps what a stream of Server-Sent Events tells: a collection, or the events."""

    def __init__(
        self, port: int, path: str, headers: Mapping[str, str], known: Collection | None = None
    ) -> None:
        self.collection: Collection = dict(known or {})
        self.events: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.whole = False  # whether a snapshot has come, or nothing was to come
        self._pages: list[dict[str, Any]] = []
        self.source = EventSource(port, path, headers)
        assert self.source.status == 200
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (event := self.source.next()) is not None:
            self._take(event.data)
            self.told.append(event.data)

    def _take(self, message: dict[str, Any]) -> None:
        if message["op"] == "snapshot":
            self._pages = [*self._pages, message] if message["page"] > 1 else [message]
            if message["page"] == message["pages"]:
                items = [item for page in self._pages for item in page["items"]]
                self.collection = {key_of(item): item for item in items}
                self.whole = True
        elif message["op"] == "state":
            for item in message["set"]:
                self.collection[key_of(item)] = {**self.collection.get(key_of(item), {}), **item}
            for item in message["unset"]:
                self.collection.pop(key_of(item), None)
        elif message["op"] == "event":
            self.events.append(message["message"])

    def join(self) -> None:
        """Wait for the end of the stream, which the program makes."""
        self._thread.join(WAIT)
        assert not self._thread.is_alive()
        self.source.close()


class Person:
    """All clients of a user, and all that they were told."""

    def __init__(self, site: RoleSite, user: str) -> None:
        self.user = user
        self.site = site
        self.answers: dict[str, bytes] = {}
        self.lists: list[dict[str, Any]] = []
        self._cookie = site.cookie(user)
        self._session = site.browser(user)
        port = site.program.port
        self.v2 = V2Client(port, additional_headers=self._cookie)
        self.subscription = self.v2.subscribe("state", "events")
        self.state = Reader(port, "/api/v1/state", self._cookie)
        self.events = Reader(port, "/api/v1/events", self._cookie)
        wait_until(lambda: self.state.whole, "the snapshot of a stream")
        wait_until(lambda: self.events.told, "the beginning of a stream")
        self.classic: Client | None = None
        if user in CLASSIC:
            self.classic = Client(port, additional_headers=self._cookie)
        # Where it stands now, for those who come back.
        self._position = self.v2.positions[self.subscription]
        self._collection = dict(self.v2.collections[self.subscription])
        self._last_ids = self.state.source.last_id, self.events.source.last_id
        self._state = dict(self.state.collection)

    def come_back(self) -> None:
        """The same from where they stood at the beginning."""
        port = self.site.program.port
        self.v2_again = V2Client(port, additional_headers=self._cookie)
        self.v2_again.collections[self.subscription] = self._collection
        self.v2_again.resume(self._position, "state", "events")
        state, events = self._last_ids
        if state is not None:
            self._cookie["Last-Event-ID"] = state
        self.state_again = Reader(port, "/api/v1/state", self._cookie, self._state)
        if events is not None:
            self._cookie["Last-Event-ID"] = events
        self.events_again = Reader(port, "/api/v1/events", self._cookie)

    @property
    def collections(self) -> Iterator[tuple[str, Collection]]:
        """By way, the state as it is known now."""
        for way, client in (("v2", self.v2), ("v2, resumed", self.v2_again)):
            client.take()
            yield way, client.collections[self.subscription]
        yield "stream", self.state.collection
        yield "stream, resumed", self.state_again.collection

    @property
    def events_told(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """By way, the events."""
        for way, client in (("v2", self.v2), ("v2, resumed", self.v2_again)):
            client.take()
            yield way, [one["message"] for one in client.of("event")]
        yield "stream", self.events.events
        yield "stream, resumed", self.events_again.events
        if self.classic is not None:
            yield (
                "classic",
                [one for one in list(self.classic.messages) if is_event(one)],
            )

    def wait_for(self, word: str) -> None:
        """Until each way has told what is said last."""
        if self.user == NOBODY:
            return
        for way, _ in self.collections:
            wait_until(lambda way=way: has(dict(self.collections)[way], word), f"{word} by {way}")
        for way, _ in self.events_told:
            wait_until(lambda way=way: self._has_heard(word, way), f"{word} by {way}")

    def _has_heard(self, word: str, way: str) -> bool:
        told = list(dict(self.events_told)[way])
        return any(word in one["data"].get("Uniqueid", "") for one in told)

    def get(self, path: str) -> Any:
        """The JSON of an answer, whatever its status is; None of another."""
        answer = self._session.get(f"{self.site.url}{path}", timeout=WAIT)
        self.answers[path] = str(answer.headers).encode() + answer.content
        with contextlib.suppress(ValueError):
            return answer.json()
        return None

    def list_all(self) -> None:
        """Each list of the API, in pages of seven."""
        self.lists = []
        for kind in ATTRIBUTES:
            path = f"/api/v1/state/{kind}?limit=7"
            while path:
                page = self.get(path)
                self.lists += page["items"]
                path = page["next"] and f"/api/v1/state/{kind}?limit=7&next={page['next']}"

    def post(self, **body: Any) -> None:
        answer = self._session.post(f"{self.site.url}/api/v1/actions", json=body, timeout=WAIT)
        self.answers[json.dumps(body)] = answer.content

    @property
    def heard(self) -> dict[str, bytes]:
        """By way, all that the user was sent."""
        told: dict[str, Any] = {
            "v2": self.v2.messages,
            "v2, resumed": self.v2_again.messages,
            "state stream": self.state.told,
            "event stream": self.events.told,
            "state stream, resumed": self.state_again.told,
            "event stream, resumed": self.events_again.told,
        }
        if self.classic is not None:
            told["classic"] = self.classic.messages
        texts = {way: json.dumps(list(what)).encode() for way, what in told.items()}
        return texts | self.answers

    def close(self) -> None:
        """End what the program does not end."""
        for client in (self.v2, self.v2_again, self.classic):
            if client is not None:
                client.close()
                assert not client.faults
        self._session.close()


def is_event(message: Message) -> bool:
    """Whether it is one that nobody has asked for."""
    return "Event" in message["data"] and "ActionID" not in message["data"]


def has(collection: Collection, word: str) -> bool:
    return any(word in key for _, _, key in list(collection))


@contextlib.contextmanager
def one_process(folder: Path, text: str) -> Iterator[Program]:
    with Program(folder, text) as program:
        yield program


@contextlib.contextmanager
def an_edge(folder: Path, text: str) -> Iterator[Program]:
    """With a collector, which alone has the servers."""
    places = [folder / name for name in ("collector", "edge")]
    for place in places:
        place.mkdir()
    with RedisServer(folder / "redis") as redis:
        redis.settle()
        text += f"redis: {{url: '{redis.url}'}}\n"
        own = f"metrics_listen: 127.0.0.1:{free_port()}\n"
        kind = "--process"
        collector = CollectorProgram(places[0], text + own, kind, "collector", short=False)
        with collector, Program(places[1], text, kind, "edge") as program:
            yield program


class Played:
    """The story from its beginning to its end, told to all users."""

    def __init__(self, folder: Path, serving: Any) -> None:
        self.stories = [Story(server, SUBJECTS) for server in SERVERS]
        self.pbxs = [AmiServer(on_action=story) for story in self.stories]
        self.site = RoleSite(folder, USERS, self.pbxs)
        given = json.dumps({name: user for name, user in USERS.items() if user["roles"]})
        text = f"roles: {json.dumps(ROLES)}\nusers: {given}\nlive_state: yes\n"
        with contextlib.ExitStack() as stack:
            for pbx in self.pbxs:
                stack.enter_context(pbx)
            with serving(folder, self.site.configuration(text)) as program:
                self.site.start(program)
                self._play()
            for person in self.people.values():
                for reader in (person.state, person.events):
                    reader.join()
                person.state_again.join()
                person.events_again.join()

    def _play(self) -> None:
        with self.site.browser("ada") as session:

            def items(kind: str) -> list[dict[str, Any]]:
                answer = session.get(f"{self.site.url}/api/v1/state/{kind}", timeout=WAIT)
                found: list[dict[str, Any]] = answer.json()["items"]
                return found

            def count(kind: str, **having: str) -> int:
                return sum(having.items() <= one.items() for one in items(kind))

            def has_figures() -> bool:
                return all(one["calls_by_minute"] is not None for one in items("server"))

            wait_until(lambda: count("server", sync="live") == len(SERVERS), "the lists")
            wait_until(has_figures, "the first figures, which come once a second has passed")
            self._say("a", begins, "lasta")
            wait_until(lambda: count("hint", hint="lasta") == len(SERVERS), "the first part")
        self.people = {user: Person(self.site, user) for user in USERS}
        self._say("b", begins, "lastb")
        for person in self.people.values():
            person.come_back()
        self._settle("lastb", "lastc")
        self.there = self._state_of_ada()
        self.seen = {user: self._collections(user) for user in USERS}
        for person in self.people.values():
            person.list_all()
            self._ask(person)
        for part in PARTS:
            self._say(part, ends, f"laste{part}")
        self._settle("lasteb", "lastf")
        self.left = self._state_of_ada()
        self.seen_last = {user: self._collections(user) for user in USERS}
        self.events = dict(self.people["ada"].events_told)["v2"]
        self.seen_events = {user: dict(person.events_told) for user, person in self.people.items()}
        for person in self.people.values():
            person.close()
        self.heard = {user: person.heard for user, person in self.people.items()}

    def _say(self, part: str, what: Any, word: str) -> None:
        for server, pbx in zip(SERVERS, self.pbxs, strict=True):
            subjects = [one for one in SUBJECTS if (one.server, one.part) == (server, part)]
            packets = [packet for one in subjects for packet in what(one)]
            pbx.send(("".join(packets) + last(server, word)).encode())

    def _settle(self, word: str, final: str) -> None:
        """Until both servers' words have passed, and everybody has heard what came after them."""
        ada = self.people["ada"]
        for server in SERVERS:
            wait_until(
                lambda server=server: all(
                    (server, "queue_caller", f"{word}.{server}") in collection
                    for _, collection in ada.collections
                ),
                f"{word} of {server}",
            )
        self.pbxs[0].send(last(1, final).encode())
        for person in self.people.values():
            person.wait_for(final)

    def _state_of_ada(self) -> list[dict[str, Any]]:
        return list(dict(self.people["ada"].collections)["v2"].values())

    def _collections(self, user: str) -> dict[str, list[dict[str, Any]]]:
        return {way: list(one.values()) for way, one in self.people[user].collections}

    @staticmethod
    def _ask(person: Person) -> None:
        """All else that can be asked, right and wrong."""
        for path in ("me", "servers", "openapi.json", "audit", "", "state/none", "state/call?x=1"):
            person.get(f"/api/v1/{path}")
        for path in ("/metrics", "/readyz", "/healthz", "/", "/nothing"):
            person.get(path)
        for server in (1, 2, 7, "all"):
            for action in ACTIONS:
                person.post(server=server, action=action)
                person.v2.request("action", server=server, action=action)
                if person.classic is not None and server != "all":
                    ask_classic(person.classic, {**action, "AMIServerID": server})


ACTIONS = (
    {"Action": "QueueStatus", "Queue": "support"},
    {"Action": "QueueStatus"},
    {"Action": "Command", "Command": "queue show"},
    {"Action": "Getvar", "Variable": "SECRET"},
    {"Action": "Hangup", "Channel": "PJSIP/204-00000001"},
)


def ask_classic(client: Client, action: dict[str, Any]) -> None:
    """Ask, and wait for the answer."""
    name = str(action)
    client.ask({**action, "ActionID": name}, lambda one: one["data"].get("ActionID") == name)


@pytest.fixture(scope="module", params=[one_process, an_edge])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("matrix"), request.param)


@pytest.fixture(params=sorted(USERS))
def user(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_the_story_has_all_kinds_and_all_secrets(played: Played) -> None:
    kinds = Counter((item["server"], item["kind"]) for item in played.there)
    for kind in ATTRIBUTES:
        for server in (0,) if kind == "server" else SERVERS:
            assert kinds[server, kind] >= 2, (server, kind)
    text = json.dumps([played.there, played.events])
    for one in SUBJECTS:
        missing = {secret for secret in one.secrets if secret not in text}
        assert missing <= {one.other, f"queue{one.tag}", f"context{one.tag}"}


def test_state(played: Played, user: str) -> None:
    for there, seen in ((played.there, played.seen), (played.left, played.seen_last)):
        assert len(seen[user]) == 4
        for got in seen[user].values():
            check_entities(user, got, there)
    check_entities(user, played.people[user].lists, played.there)


def test_events(played: Played, user: str) -> None:
    for got in played.seen_events[user].values():
        check_events(user, got, played.events)


def test_a_server_that_is_not_seen_is_as_one_that_is_not_there(played: Played, user: str) -> None:
    answers = played.people[user].answers
    for server in SERVERS:
        if not any(of_server(see, server) for see in sees(user)):
            for action in ACTIONS:
                there, nowhere = (
                    answers[json.dumps({"server": one, "action": action})] for one in (server, 7)
                )
                assert there.replace(b"%d:" % server, b"7:") == nowhere


def test_no_byte_is_of_what_is_not_seen(played: Played, user: str) -> None:
    entities = [(showing_entity(user, one), one) for one in [*played.there, *played.left]]
    events = [(showing_event(user, one), one) for one in played.events]
    known = allowed(user, [(shown, one) for shown, one in [*entities, *events] if shown])
    secrets = {secret for one in SUBJECTS for secret in one.secrets} - known
    if user not in WHOLE:
        assert secrets
    if not any(of_server(see, 2) for see in sees(user)):
        secrets.add("pbx2")
    for way, data in played.heard[user].items():
        assert {secret for secret in secrets if secret.encode() in data} == set(), way
    everything = b"".join(played.heard[user].values())
    if not any(see.keys() <= {"servers"} for see in sees(user)):
        assert b"ListItems" not in everything, "how many there are"
    assert {secret for secret in known if secret.encode() not in everything} == set()
