"""One connection's life with a wire that plays the server: every moment can be chosen."""

from __future__ import annotations

import errno
import logging
import ssl
from collections.abc import Callable

import pytest

from amiws_gevent.ami import Message
from amiws_gevent.config import AmiHost, Limits
from amiws_gevent.errors import SendBufferFull
from amiws_gevent.link.session import Ended, Refused, Session, broken

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
ACCEPTED = b"Response: Success\r\n\r\n"
EVENT = b"Event: Test\r\n\r\n"

Step = bytes | OSError | Callable[[], None]


class Play:
    """A session, its owner, its clock and its wire, which reads what ``steps`` say.

    Bytes are read, an error is raised, a function is called in between; behind the
    last step is the end of the connection.
    """

    def __init__(self, *steps: Step, limits: Limits | None = None, **settings: object) -> None:
        known = {"id": 1, "name": "pbx", "host": "192.0.2.1", "username": "u", "secret": "s"}
        self.steps = list(steps)
        self.written: list[bytes] = []
        self.write_error: Exception | None = None
        self.is_shut = False
        self.now = 1000.0
        self.told: list[str] = []
        self.session = Session(
            AmiHost.model_validate({**known, **settings}),
            limits or Limits(ami_packet=200, ami_line=100),
            self,  # type: ignore[arg-type]  # a wire in all that a session uses
            self,
            name="pbx",
            clock=lambda: self.now,
        )

    def run(self) -> str:
        """How it ends."""
        try:
            self.session.run(self.now + 10)
        except (Ended, Refused) as end:
            return str(end)

    # the wire

    def read(self) -> bytes:
        while self.steps and not self.is_shut:
            step = self.steps.pop(0)
            if isinstance(step, bytes):
                return step
            if isinstance(step, OSError):
                raise step
            step()
        return b""

    def write(self, data: bytes) -> None:
        if self.write_error is not None:
            raise self.write_error
        self.written.append(data)

    def shutdown(self) -> None:
        self.is_shut = True

    # the owner

    def logged_in(self, banner: str) -> None:
        self.told.append(banner)

    def received(self, messages: list[Message]) -> None:
        self.told += [one.name or one.get("Response") or "PROMPT" for one in messages]

    def lost(self, packets: int) -> None:
        self.told.append(f"{packets} LOST")

    # moments

    def later(self, seconds: float) -> Callable[[], None]:
        """A step: so much time passes, and the timer goes off."""

        def pass_by() -> None:
            self.now += seconds
            self.session._on_time()

        return pass_by


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_the_same_however_the_bytes_are_cut(size: int) -> None:
    data = BANNER + EVENT + ACCEPTED + EVENT
    play = Play(*[data[at : at + size] for at in range(0, len(data), size)])
    assert play.run() == "closed by the server"
    assert play.told == ["Asterisk Call Manager/11.0.0", "PROMPT", "Test", "Success", "Test"]


def test_the_login_goes_out_once() -> None:
    play = Play(BANNER, EVENT, EVENT)
    assert play.run() == "closed by the server before the answer to the login"
    assert play.written == [b"Action: Login\r\nUsername: u\r\nSecret: s\r\n\r\n"]
    assert play.told == []


def test_nothing_at_all() -> None:
    assert Play().run() == "closed by the server before the greeting"


def test_packets_over_a_limit_are_told_of_once() -> None:
    long_line = b"Event: Long\r\nX: " + b"x" * 200 + b"\r\n\r\n"
    many_lines = b"Event: Many\r\n" + b"X: 1\r\n" * 100 + b"\r\n"
    odd = b"no colon\r\n\r\n"
    play = Play(BANNER, ACCEPTED, long_line + many_lines, odd, EVENT + long_line)
    play.run()
    assert [told for told in play.told if told in ("2 LOST", "1 LOST", "Test")] == [
        "2 LOST",
        "1 LOST",
        "Test",
    ]


def test_events_of_too_many_headers_are_told_of_too() -> None:
    many = b"Event: Many\r\n" + b"a:\r\n" * 1000 + b"\r\n"
    play = Play(BANNER, ACCEPTED, many + EVENT, limits=Limits())
    play.run()
    assert play.told[-2:] == ["1 LOST", "Test"]


def test_a_refusal_passes_its_answer_on_and_nothing_else() -> None:
    play = Play(BANNER + EVENT + b"Response: Error\r\nMessage: no\r\n\r\n" + EVENT)
    assert play.run() == "'no'"
    assert play.told == ["Error"]


def test_the_answer_to_the_challenge_is_for_the_link_alone() -> None:
    challenge = b"Response: Success\r\nChallenge: 7\r\n\r\n"
    play = Play(BANNER, challenge, ACCEPTED, login="md5")
    play.run()
    assert play.told[1:] == ["PROMPT", "Success"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionResetError(errno.ECONNRESET, "x"), "reset by the server"),
        (TimeoutError(errno.ETIMEDOUT, "x"), "Connection timed out"),
        (OSError("odd"), "odd"),
        (ssl.SSLError(1, "alert"), "TLS: alert"),
    ],
)
def test_a_connection_that_breaks(error: OSError, reason: str) -> None:
    play = Play(BANNER, ACCEPTED, error)
    assert play.run() == broken(error)
    assert reason in broken(error)


@pytest.mark.parametrize(
    ("tls", "reason"),
    [
        (False, "no banner within 10 s (is it a TLS port? see ssl)"),
        (True, "no banner within 10 s"),
    ],
)
def test_no_banner_in_time(tls: bool, reason: str) -> None:
    play = Play(ssl=tls)
    play.steps = [play.later(10)]
    assert play.run() == reason


def test_no_answer_in_time() -> None:
    play = Play(BANNER)
    play.steps.append(play.later(10))
    assert play.run() == "no answer to the login within 10 s"


def test_a_ping_after_silence_and_the_end_after_as_much_again() -> None:
    play = Play(BANNER + ACCEPTED)
    play.steps += [play.later(29), play.later(1), play.later(30), EVENT]
    assert play.run() == "no answer to Ping: the server sent nothing for 60 s"
    assert play.written[1:] == [b"Action: Ping\r\nActionID: amiws-gevent-1\r\n\r\n"]
    assert "Test" not in play.told


def test_whatever_comes_after_a_ping_is_a_sign_of_life() -> None:
    play = Play(BANNER + ACCEPTED)
    play.steps += [play.later(30), EVENT, play.later(30), EVENT, play.later(30), EVENT]
    assert play.run() == "closed by the server"
    assert len(play.written) == 4


def test_pongs_in_flight_are_swallowed_and_others_are_not() -> None:
    play = Play(BANNER + ACCEPTED)
    pong = b"Response: Success\r\nActionID: amiws-gevent-%d\r\nPing: Pong\r\n\r\n"
    foreign = b"Response: Error\r\nActionID: mine\r\n\r\n"
    bare = b"Response: Pong\r\n\r\n"
    play.steps += [play.later(30), EVENT, play.later(30), EVENT]
    play.steps.append(pong % 1 + foreign + pong % 2 + bare)
    play.run()
    assert play.told[3:] == ["Test", "Test", "Error", "Pong"]


PONG = b"Response: Success\r\nActionID: amiws-gevent-%d\r\nPing: Pong\r\n\r\n"


def originate(play: Play, holding: float = 90.0) -> Callable[[], None]:
    """A step: an action goes out that holds up the server."""
    return lambda: play.session.send(b"Action: Originate\r\n\r\n", holding)


def test_silence_is_no_death_while_an_originate_is_unanswered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    play = Play(BANNER + ACCEPTED)
    play.steps += [originate(play), *[play.later(30)] * 3, PONG % 1 + EVENT]
    assert play.run() == "closed by the server"
    assert play.told[2:] == ["Success", "Test"], "the pong is the session's alone"
    assert play.written[1:] == [
        b"Action: Originate\r\n\r\n",
        b"Action: Ping\r\nActionID: amiws-gevent-1\r\n\r\n",
    ]
    (record,) = caplog.records
    assert record.getMessage() == (
        "pbx: the server sends nothing until an Originate without Async ends; "
        "the link waits up to 60 s more for it"
    )


def test_past_its_time_silence_is_what_it_was_before() -> None:
    play = Play(BANNER + ACCEPTED)
    play.steps += [originate(play), play.later(119), play.later(1), EVENT]
    play.steps += [play.later(30), play.later(30), EVENT]
    assert play.run() == "no answer to Ping: the server sent nothing for 60 s"
    play = Play(BANNER + ACCEPTED)
    play.steps += [originate(play), play.later(119), play.later(1), play.later(30), EVENT]
    assert play.run() == "no answer to Ping: the server sent nothing for 150 s"


def test_several_originates_add_up() -> None:
    play = Play(BANNER + ACCEPTED)
    play.steps += [originate(play), originate(play), play.later(209), EVENT]
    assert play.run() == "closed by the server"
    assert len(play.written) == 5, "each with a Ping behind it"


def test_once_it_is_answered_silence_counts_again() -> None:
    play = Play(BANNER + ACCEPTED)
    play.steps += [originate(play, 3000.0), PONG % 1, play.later(30), play.later(30), EVENT]
    assert play.run() == "no answer to Ping: the server sent nothing for 60 s"


def test_silence_is_looked_at_in_time_when_an_answer_comes_early() -> None:
    """The look that is due in the middle of it is not put off to its end."""
    play = Play(BANNER + ACCEPTED)
    play.steps += [originate(play, 3000.0), play.later(30)]
    armed: list[float] = []

    def note(seconds: float) -> None:
        armed.append(seconds)

    play.steps.insert(0, lambda: setattr(play.session, "_arm", note))
    play.run()
    assert armed == [30.0, 30.0]


def test_other_actions_have_no_ping_behind_them() -> None:
    play = Play(BANNER + ACCEPTED)
    play.steps.append(lambda: play.session.send(b"Action: Status\r\n\r\n"))
    play.run()
    assert play.written[1:] == [b"Action: Status\r\n\r\n"]


class Nobody:
    """A `Taker` that needs nothing."""

    def take(self, message: Message, *, ends: bool) -> bool:
        return True

    def over(self, reason: str) -> None: ...

    def lost(self, reason: str) -> None: ...


def asked(play: Play, *headers: tuple[str, str]) -> list[bytes]:
    """What is sent for a query of the program's own."""
    play.steps.append(lambda: play.session.ask(headers[0][1], headers, Nobody()))
    play.run()
    return play.written[1:]


def test_an_own_query_has_an_action_id_of_ours() -> None:
    play = Play(BANNER + ACCEPTED)
    status = ("Action", "Status"), ("Channel", "SIP/1")
    assert asked(play, *status) == [
        b"Action: Status\r\nChannel: SIP/1\r\nActionID: amiws-gevent-1\r\n\r\n"
    ]


def test_an_own_originate_holds_up_the_server_like_a_clients() -> None:
    play = Play(BANNER + ACCEPTED)
    originate = [("Action", "Originate"), ("Timeout", "90000")]
    play.steps += [lambda: play.session.ask("Originate", originate, Nobody())]
    play.steps += [*[play.later(30)] * 3, PONG % 2 + EVENT]
    assert play.run() == "closed by the server"
    assert play.written[2:] == [b"Action: Ping\r\nActionID: amiws-gevent-2\r\n\r\n"]


def test_an_own_query_without_a_response_has_a_ping_on_both_sides() -> None:
    ping = b"Action: Ping\r\nActionID: amiws-gevent-%d\r\n\r\n"
    play = Play(BANNER + ACCEPTED)
    assert asked(play, ("Action", "Queues")) == [
        ping % 2 + b"Action: Queues\r\nActionID: amiws-gevent-1\r\n\r\n" + ping % 3
    ]


def test_an_originate_that_was_not_sent_holds_up_nothing() -> None:
    play = Play(BANNER + ACCEPTED)

    def refuse() -> None:
        play.write_error = SendBufferFull("full")
        with pytest.raises(SendBufferFull):
            play.session.send(b"Action: Originate\r\n\r\n", 90.0)
        play.write_error = None

    play.steps += [refuse, play.later(30), play.later(30), EVENT]
    assert play.run() == "no answer to Ping: the server sent nothing for 60 s"


def test_a_full_send_buffer_is_no_answer_either() -> None:
    play = Play(BANNER + ACCEPTED)

    def fill() -> None:
        play.write_error = SendBufferFull("full")

    play.steps += [fill, play.later(30), play.later(30)]
    assert play.run().startswith("no answer to Ping")


def test_a_ping_on_a_connection_that_broke_ends_it() -> None:
    play = Play(BANNER + ACCEPTED)

    def break_it() -> None:
        play.write_error = BrokenPipeError(errno.EPIPE, "x")

    play.steps += [break_it, play.later(30)]
    assert play.run() == "Broken pipe"


def test_a_login_on_a_connection_that_broke_ends_it() -> None:
    play = Play(BANNER)
    play.write_error = BrokenPipeError(errno.EPIPE, "x")
    assert play.run() == "Broken pipe"


def test_logging_off_ends_with_the_goodbye_and_is_asked_for_once() -> None:
    play = Play(BANNER + ACCEPTED)
    goodbye = b"Response: Goodbye\r\nActionID: amiws-gevent-logoff\r\n\r\n"
    play.steps += [play.session.log_off, play.session.log_off, EVENT + goodbye, EVENT]
    assert play.run() == "logged off"
    assert play.told[3:] == ["Test"]
    assert play.written[1:] == [b"Action: Logoff\r\nActionID: amiws-gevent-logoff\r\n\r\n"]


@pytest.mark.parametrize("name", [b"Shutdown", b"shutdown"])
def test_a_shutdown_is_told(name: bytes) -> None:
    shutdown = b"Event: " + name + b"\r\nShutdown: Cleanly\r\n\r\n"
    assert Play(BANNER + ACCEPTED, shutdown + EVENT).run() == "the server shut down"


def test_a_shutdown_long_ago_is_not_the_reason() -> None:
    shutdown = b"Event: Shutdown\r\n\r\n"
    assert Play(BANNER + ACCEPTED, shutdown, EVENT * 4).run() == "closed by the server"
