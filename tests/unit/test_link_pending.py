from __future__ import annotations

from amiws_gevent.ami import Kind, Message
from amiws_gevent.link.pending import LIMIT, Pending


def response(action_id: str | None, **headers: str) -> Message:
    ident = {} if action_id is None else {"ActionID": action_id}
    return Message(Kind.RESPONSE, {"Response": "Success", **ident, **headers})


def event(name: str, **headers: str) -> Message:
    return Message(Kind.EVENT, {"Event": name, **headers})


def pending(*action_ids: str, limit: int = LIMIT) -> Pending:
    made = Pending(limit)
    for action_id in action_ids:
        made.add(action_id, "CoreStatus")
    return made


def under_way(made: Pending) -> list[str | None]:
    """The ActionIDs that get an error when the connection ends, by ending it."""
    return [answer.get("ActionID") for answer in made.fail("pbx", "gone")]


def test_what_is_not_answered_gets_an_error_that_says_unknown_and_not_failed() -> None:
    made = pending("a")
    made.add("b", "Originate")
    assert len(made) == 2
    first, second = made.fail("pbx", "reset by the server")
    assert (first.kind, first.get("Response"), first.get("ActionID")) == (
        Kind.RESPONSE,
        "Error",
        "a",
    )
    assert second.get("Message") == (
        "the outcome of Originate is unknown: the connection to server pbx ended before the"
        " answer was complete (reset by the server)"
    )
    assert len(made) == 0
    assert made.fail("pbx", "again") == []


def test_an_answer_ends_it_and_what_was_asked_before() -> None:
    made = pending("a", "never answered", "b", "c")
    made.receive([response("a"), response("b")])
    assert under_way(made) == ["c"]


def test_command_output_is_an_answer() -> None:
    made = pending("a")
    made.receive([Message(Kind.COMMAND, {"Response": "Follows", "actionid": "a", "Output": ""})])
    assert under_way(made) == []


def test_answers_to_others_and_news_end_nothing() -> None:
    made = pending("a")
    messages = [
        response(None),
        response("mine"),
        event("OriginateResponse", Privilege="call,all", ActionID="a"),
        Message(Kind.PROMPT, {"Product": "a"}),
    ]
    assert made.receive(messages) == messages
    assert under_way(made) == ["a"]


def test_the_same_action_id_twice_is_answered_twice() -> None:
    made = pending("a", "a")
    made.receive([response("a")])
    assert under_way(made) == ["a"]


def test_a_list_is_under_way_until_its_end() -> None:
    made = pending("a", "b")
    made.receive([response("a", EventList="start"), event("Item", ActionID="a")])
    assert len(made) == 2
    made.receive([event("ItemsComplete", ActionID="a", EventList="Complete")])
    assert under_way(made) == ["b"]
    made = pending("a", "b")
    made.receive([response("a", EventList="start"), event("X", ActionID="z", EventList="Complete")])
    assert under_way(made) == ["a", "b"]


def test_any_response_ends_a_list_whose_end_was_not_told() -> None:
    for other in (response("z"), response(None)):
        made = pending("a")
        made.receive([response("a", EventList="Start"), other])
        assert under_way(made) == []


def test_items_without_action_id_get_that_of_their_list_and_nothing_else_does() -> None:
    made = pending("a")
    news = event("Hangup", Privilege="call,all")
    item = event("PeerEntry", ObjectName="b")
    strange = event("PeerEntry", ActionID="z")
    start = response("a", EventList="start")
    end = event("PeerlistComplete", EventList="Complete", ActionID="a")
    assert made.receive([item, start, news, item, strange, end, item]) == [
        item,
        start,
        news,
        event("PeerEntry", ObjectName="b", ActionID="a"),
        strange,
        end,
        item,
    ]


def test_it_is_bounded_and_the_oldest_goes() -> None:
    made = pending(*map(str, range(10)), limit=3)
    assert len(made) == 3
    made.receive([response("3")])
    made.receive([response("7", EventList="start")])
    assert under_way(made) == ["7", "8", "9"]


def test_who_has_left_is_forgotten() -> None:
    made = pending("x/1", "y/1", "x/2")
    made.forget("x/")
    assert under_way(made) == ["y/1"]
    made = pending("x/1", "y/1", limit=2)
    made.receive([response("x/1", EventList="start")])
    made.forget("x/")
    for number in range(5):
        made.add(f"z/{number}", "A")
    assert under_way(made) == ["z/3", "z/4"]


def test_with_nothing_under_way_messages_are_not_looked_at() -> None:
    messages = [event("A")]
    assert Pending().receive(messages) is messages


class Told:
    """A `Taker` that keeps what it is told; it takes ``most`` messages."""

    def __init__(self, most: int = 1000) -> None:
        self.most = most
        self.names: list[str] = []
        self.end = ""
        self.reason: str | None = None
        self.error = ""

    def take(self, message: Message, *, ends: bool) -> bool:
        self.names.append(message.name or message.get("Response") or str(message.kind))
        if ends:
            self.end = message.name
        return len(self.names) < self.most

    def over(self, reason: str) -> None:
        assert self.reason is None
        self.reason = reason

    def lost(self, reason: str) -> None:
        self.error = reason


OWN = "amiws-gevent-1"
TEXT = Message(Kind.QUEUE, {"QueueName": "sales"})


class TestOwn:
    """What the program asks itself."""

    def asked(
        self, name: str = "Status", action_id: str = OWN, limit: int = LIMIT
    ) -> tuple[Pending, Told]:
        made, told = Pending(limit), Told()
        made.add_own(action_id, name, told)
        return made, told

    def test_its_answer_goes_to_who_asked_and_is_not_passed_on(self) -> None:
        made, told = self.asked()
        news = event("Status", Privilege="call,all")
        assert len(made) == 0, "no client waits"
        assert made.receive(
            [
                response(OWN, EventList="start"),
                event("Status", Privilege="Call", ActionID=OWN),
                news,
                event("StatusComplete", ActionID=OWN, EventList="Complete"),
                news,
            ]
        ) == [news, news]
        assert told.names == ["Success", "Status", "StatusComplete"]
        assert (told.end, told.reason) == ("StatusComplete", "")

    def test_lists_of_asterisk_11_end_with_the_event_of_their_action(self) -> None:
        made, told = self.asked("QueueStatus")
        made.receive([response(OWN), event("QueueParams", ActionID=OWN)])
        assert told.reason is None
        made.receive([event("QueueStatusComplete", ActionID=OWN)])
        assert (told.end, told.reason) == ("QueueStatusComplete", "")

    def test_items_without_action_id_follow_the_order_of_the_session(self) -> None:
        made, told = self.asked("IAXpeers")
        before = event("PeerEntry", ObjectName="of another")
        news = event("Odd")
        passed = made.receive(
            [
                before,
                response(OWN, EventList="start"),
                event("PeerEntry", ObjectName="a"),
                news,
                event("PeerlistComplete", ActionID=OWN, EventList="Complete"),
            ]
        )
        assert passed == [before, news]
        assert told.names == ["Success", "PeerEntry", "PeerlistComplete"]

    def test_text_is_its_own_only_between_the_pings(self) -> None:
        made = Pending()
        told = Told()
        made.add("amiws-v2/x/", "Queues")
        for action_id, name in (("-1", "Ping"), ("-2", "Queues"), ("-3", "Ping")):
            made.add_own(f"amiws-gevent{action_id}", name, told if name == "Queues" else None)
        passed = made.receive(
            [TEXT, response("amiws-gevent-1"), TEXT, TEXT, response("amiws-gevent-3"), TEXT]
        )
        assert passed == [TEXT, TEXT]
        assert (told.names, told.reason) == (["6", "6"], "")

    def test_a_server_that_has_no_such_action_says_so(self) -> None:
        made, told = self.asked("Queues")
        made.receive([Message(Kind.RESPONSE, {"Response": "Error", "ActionID": OWN})])
        assert (told.names, told.reason) == (["Error"], "")

    def test_one_event_that_answers_without_a_response(self) -> None:
        made, told = self.asked("DataGet")
        assert made.receive([event("DataGet Tree", ActionID=OWN)]) == []
        made.add_own("amiws-gevent-2", "Ping")
        made.receive([response("amiws-gevent-2")])
        assert (told.names, told.reason) == (["DataGet Tree"], "")

    def test_what_was_passed_over_is_over_and_said_so(self) -> None:
        made, told = self.asked()
        made.add("theirs", "CoreStatus")
        late = [response(OWN), event("StatusComplete", ActionID=OWN)]
        assert made.receive([response("theirs"), *late]) == [response("theirs")]
        assert told.reason == "the server answered a later action and not this one"
        assert made.receive(late) == []

    def test_a_list_is_over_with_the_next_answer(self) -> None:
        made, told = self.asked()
        item = event("Status", ActionID=OWN)
        foreign = response("foreign")
        assert made.receive([response(OWN), item, foreign, item]) == [foreign]
        assert told.reason == "the next answer came before the end of the list"

    def test_answers_of_our_own_end_nothing_of_a_clients(self) -> None:
        made = pending("list", "a")
        made.add_own(OWN, "Ping")
        made.receive([response("list", EventList="start"), response(OWN)])
        assert under_way(made) == ["list", "a"]

    def test_what_was_cancelled_goes_to_nobody(self) -> None:
        item = event("Status", ActionID=OWN)
        end = event("StatusComplete", ActionID=OWN)
        for before in (0, 1, 2):
            made, told = self.asked()
            messages = [response(OWN), item, item, end]
            assert made.receive(messages[:before]) == []
            made.cancel(told)
            assert made.receive(messages[before:]) == []
            assert len(told.names) == before
            assert told.reason is None
            assert made.receive(messages) is messages, "nothing is left"

    def test_who_takes_no_more_hears_no_more(self) -> None:
        made, told = self.asked()
        told.most = 2
        made.receive([response(OWN), *[event("Status", ActionID=OWN)] * 3])
        made.receive([event("StatusComplete", ActionID=OWN)])
        assert (len(told.names), told.reason) == (2, None)

    def test_what_goes_to_all_sessions_is_news(self) -> None:
        made, told = self.asked("Originate")
        done = event("OriginateResponse", Privilege="call,all", ActionID=OWN)
        assert made.receive([done, response(OWN), done]) == [done, done]
        assert told.names == ["Success"]

    def test_a_lost_connection_is_told_at_once(self) -> None:
        made, told = self.asked()
        made.add("a", "CoreStatus")
        made.add_own("amiws-gevent-2", "Ping")
        assert [one.get("ActionID") for one in made.fail("pbx", "gone")] == ["a"]
        assert told.error.startswith("the outcome of Status is unknown: the connection to")
        assert told.reason is None

    def test_it_is_bounded_apart_from_clients(self) -> None:
        made, told = self.asked(limit=3)
        for number in range(10):
            made.add(str(number), "A")
        assert told.reason is None
        for number in range(2, 10):
            made.add_own(f"amiws-gevent-{number}", "Ping")
        assert told.reason == "more than 3 actions are under way"
        late = [response(OWN), event("Status", ActionID=OWN)]
        assert made.receive(late) == []
        assert under_way(made) == ["7", "8", "9"]

    def test_several_at_once(self) -> None:
        made = Pending()
        takers = [Told() for _ in range(3)]
        for number, told in enumerate(takers):
            made.add_own(f"amiws-gevent-{number}", "ParkedCalls", told)
        for number in range(3):
            ident = f"amiws-gevent-{number}"
            made.receive([response(ident), *[event("ParkedCall", ActionID=ident)] * number])
            made.receive([event("ParkedCallsComplete", ActionID=ident)])
        assert [len(told.names) for told in takers] == [2, 3, 4]
        assert [told.reason for told in takers] == [""] * 3


def test_a_clients_list_of_asterisk_11_is_under_way_until_its_end() -> None:
    made = Pending()
    made.add("a", "queuestatus")
    made.receive([response("a", Message="Queue status will follow")])
    assert len(made) == 1
    made.receive([event("QueueStatusComplete", ActionID="a")])
    assert len(made) == 0
