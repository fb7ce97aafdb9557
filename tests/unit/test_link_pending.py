from __future__ import annotations

from amiws_gevent.ami import Kind, Message
from amiws_gevent.link.pending import LIMIT, Pending


def response(action_id: str | None, **headers: str) -> Message:
    ident = {} if action_id is None else {"ActionID": action_id}
    return Message(Kind.RESPONSE, {"Response": "Success", **ident, **headers})


def event(name: str, **headers: str) -> Message:
    return Message(Kind.EVENT, {"Event": name, **headers})


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
        made.add(action_id, name, told)
        return made, told

    def test_its_answer_goes_to_who_asked_and_is_not_passed_on(self) -> None:
        made, told = self.asked()
        news = event("Status", Privilege="call,all")
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
        for action_id, name in (("-1", "Ping"), ("-2", "Queues"), ("-3", "Ping")):
            made.add(f"amiws-gevent{action_id}", name, told if name == "Queues" else None)
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
        made.add("amiws-gevent-2", "Ping")
        made.receive([response("amiws-gevent-2")])
        assert (told.names, told.reason) == (["DataGet Tree"], "")

    def test_what_was_passed_over_is_over_and_said_so(self) -> None:
        made, told = self.asked()
        made.add("amiws-gevent-2", "CoreStatus")
        late = [response(OWN), event("StatusComplete", ActionID=OWN)]
        assert made.receive([response("amiws-gevent-2"), *late]) == []
        assert told.reason == "the server answered a later action and not this one"
        assert made.receive(late) == []

    def test_a_list_is_over_with_the_next_answer(self) -> None:
        made, told = self.asked()
        item = event("Status", ActionID=OWN)
        foreign = response("foreign")
        assert made.receive([response(OWN), item, foreign, item]) == [foreign]
        assert told.reason == "the next answer came before the end of the list"

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
        made.add("amiws-gevent-2", "Ping")
        made.fail("pbx", "gone")
        assert told.error == (
            "the outcome of Status is unknown: the connection to server pbx ended before the"
            " answer was complete (gone)"
        )
        assert told.reason is None

    def test_it_is_bounded_and_the_oldest_goes(self) -> None:
        made, told = self.asked(limit=3)
        for number in range(2, 5):
            made.add(f"amiws-gevent-{number}", "Status", Told())
        assert told.reason == "more than 3 actions are under way"
        late = [response(OWN), event("Status", ActionID=OWN)]
        assert made.receive(late) == []

    def test_those_that_nobody_waits_for_go_first(self) -> None:
        made, told = self.asked(limit=3)
        for number in range(2, 10):
            left = Told()
            made.add(f"amiws-gevent-{number}", "Status", left)
            made.cancel(left)
        assert told.reason is None
        for number in range(10, 12):
            made.add(f"amiws-gevent-{number}", "Status", Told())
        assert told.reason is None
        made.add("amiws-gevent-12", "Status", Told())
        assert told.reason == "more than 3 actions are under way"

    def test_answers_to_others_and_news_end_nothing(self) -> None:
        made, told = self.asked()
        messages = [
            response(None),
            response("mine"),
            event("UserEvent", Privilege="user,all", ActionID=OWN),
            Message(Kind.COMMAND, {"Response": "Follows", "ActionID": "a", "Output": ""}),
            Message(Kind.PROMPT, {"Product": "a"}),
        ]
        assert made.receive(messages) == messages
        assert (told.names, told.reason) == ([], None)

    def test_command_output_is_an_answer(self) -> None:
        made, told = self.asked("Command")
        output = Message(Kind.COMMAND, {"Response": "Follows", "actionid": OWN, "Output": ""})
        assert made.receive([output]) == []
        assert (told.names, told.reason) == (["Follows"], "")

    def test_with_nothing_under_way_messages_are_not_looked_at(self) -> None:
        messages = [event("A")]
        assert Pending().receive(messages) is messages

    def test_a_pong_ends_nothing_else_since_a_proxy_may_answer_by_itself(self) -> None:
        pong = response("amiws-gevent-2")
        end = event("StatusComplete", ActionID=OWN)
        for before in (0, 1):
            made, told = self.asked()
            made.add("amiws-gevent-2", "Ping")
            messages = [response(OWN), event("Status", ActionID=OWN), end]
            assert made.receive([*messages[:before], pong, *messages[before:]]) == []
            assert (told.names, told.reason) == (["Success", "Status", "StatusComplete"], "")

    def test_text_finds_its_query_behind_one_that_is_not_answered(self) -> None:
        made, told = Pending(), Told()
        made.add("amiws-gevent-0", "Odd", Told())
        for action_id, name in (("-1", "Ping"), ("-2", "Queues"), ("-3", "Ping")):
            made.add(f"amiws-gevent{action_id}", name, told if name == "Queues" else None)
        assert made.receive([TEXT, response("amiws-gevent-1"), TEXT]) == [TEXT]
        made.receive([response("amiws-gevent-3")])
        assert (told.names, told.reason) == (["6"], "")

    def test_several_at_once(self) -> None:
        made = Pending()
        takers = [Told() for _ in range(3)]
        for number, told in enumerate(takers):
            made.add(f"amiws-gevent-{number}", "ParkedCalls", told)
        for number in range(3):
            ident = f"amiws-gevent-{number}"
            made.receive([response(ident), *[event("ParkedCall", ActionID=ident)] * number])
            made.receive([event("ParkedCallsComplete", ActionID=ident)])
        assert [len(told.names) for told in takers] == [2, 3, 4]
        assert [told.reason for told in takers] == [""] * 3


class TestLater:
    """An event for all sessions that tells what became of an action."""

    done = event("OriginateResponse", Privilege="call,all", Response="Failure", ActionID=OWN)
    refused = Message(Kind.RESPONSE, {"Response": "Error", "ActionID": OWN})

    def asked(self, limit: int = LIMIT) -> tuple[Pending, Told]:
        made, told = Pending(limit), Told()
        made.add(OWN, "Originate", told, later="originateresponse")
        return made, told

    def test_it_ends_the_answer_and_is_news_all_the_same(self) -> None:
        made, told = self.asked()
        ring = event("Newstate", Privilege="call,all")
        assert made.receive([response(OWN), ring]) == [ring]
        assert told.reason is None
        assert made.receive([self.done]) == [self.done]
        assert (told.names, told.end, told.reason) == (
            ["Success", "OriginateResponse"],
            "OriginateResponse",
            "",
        )
        messages = [self.done]
        assert made.receive(messages) is messages, "nothing is left"

    def test_it_may_overtake_the_response(self) -> None:
        made, told = self.asked()
        assert made.receive([self.done]) == [self.done]
        assert told.reason is None
        assert made.receive([response(OWN)]) == []
        assert (told.names, told.end, told.reason) == (
            ["OriginateResponse", "Success"],
            "OriginateResponse",
            "",
        )

    def test_answers_to_later_actions_do_not_end_it(self) -> None:
        made, told = self.asked()
        second = Told()
        made.add("amiws-gevent-2", "Status", second)
        made.receive([response(OWN), response("amiws-gevent-2", EventList="start"), self.done])
        assert told.reason == ""
        assert second.reason is None

    def test_those_of_others_and_other_events_with_its_id_do_not_end_it(self) -> None:
        made, told = self.asked()
        others = self.done.replace("ActionID", "amiws-gevent-2")
        user = event("UserEvent", Privilege="user,all", ActionID=OWN)
        assert made.receive([response(OWN), others, user]) == [others, user]
        assert (told.names, told.reason) == (["Success"], None)

    def test_where_the_server_refuses_none_comes(self) -> None:
        made, told = self.asked()
        made.receive([self.refused])
        assert (told.names, told.reason) == (["Error"], "")

    def test_a_late_one_goes_to_nobody(self) -> None:
        for before in ([], [response(OWN)]):
            made, told = self.asked()
            made.receive(list(before))
            made.cancel(told)
            made.receive([response(OWN)])
            assert made.receive([self.done]) == [self.done]
            assert (len(told.names), told.reason) == (len(before), None)

    def test_a_lost_connection_is_told_who_waits_for_it(self) -> None:
        made, told = self.asked()
        made.receive([response(OWN)])
        made.fail("pbx", "gone")
        assert told.error.startswith("the outcome of Originate is unknown")
        assert made.receive([self.done]) == [self.done]
        assert told.names == ["Success"]

    def test_it_is_bounded_and_the_oldest_goes(self) -> None:
        made, told = self.asked(limit=2)
        made.receive([response(OWN)])
        for number in (2, 3):
            made.add(f"amiws-gevent-{number}", "Originate", Told(), later="originateresponse")
            made.receive([response(f"amiws-gevent-{number}")])
        assert told.reason == "more than 2 actions wait for originateresponse"
