"""Whatever a client asks for becomes one whole action for a server, or an ActionProblem."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from amiws_gevent.actions import PROBLEMS, ActionProblem, ActionRequest
from amiws_gevent.actions.request import MOST_WAIT, parse_request
from amiws_gevent.ami import encode_action
from amiws_gevent.ami.actions import SESSION_ACTIONS

NASTY = st.sampled_from(
    ["\r", "\n", "\0", "\r\n\r\n", ":", ": ", " ", "\t", "\x01", "\u2028", "\x85", "\ud800", "é"]
)
TEXT = st.lists(st.text(max_size=5) | NASTY, max_size=4).map("".join)
NAME = TEXT | st.sampled_from(["ActionID", "action", "Async", "Timeout", "Variable", "AMIServerID"])
ACTION = TEXT | st.sampled_from(["Ping", "Originate", " originate", "Logoff", "\x01login"])
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUE = SCALAR | st.lists(SCALAR, max_size=4) | st.dictionaries(TEXT, SCALAR, max_size=2)
HEADERS = st.builds(
    lambda name, rest: {"Action": name, **rest}, ACTION, st.dictionaries(NAME, VALUE, max_size=4)
)
SERVER = st.sampled_from([1, "2", [1, "2"], "all"]) | VALUE
GIVEN = st.fixed_dictionaries(
    {"server": SERVER, "action": HEADERS | VALUE},
    optional={"timeout": VALUE, "wait": VALUE, "idempotency_key": VALUE, "other": VALUE},
)


def parsed(members: dict[str, object]) -> ActionRequest | ActionProblem:
    try:
        return parse_request(members)
    except ActionProblem as problem:
        return problem


@settings(max_examples=500)
@given(GIVEN)
def test_one_whole_action_or_a_problem(members: dict[str, object]) -> None:
    request = parsed(members)
    if isinstance(request, ActionProblem):
        assert request.code in PROBLEMS
        assert "\n" not in request.message
        assert request.message.encode()
        return
    sent = encode_action((*request.headers, ("ActionID", "x" * 60)))
    lines = sent.decode().split("\r\n")
    assert lines[-2:] == ["", ""]
    names = [line.partition(":")[0].lower() for line in lines[:-2]]
    assert names.count("action") == names.count("actionid") == 1
    assert not any(sign in sent.replace(b"\r\n", b"") for sign in b"\r\n\0")
    assert len(names) <= 128
    assert request.name.strip().lower() not in SESSION_ACTIONS
    assert 0 < request.timeout <= MOST_WAIT
    if request.name.lower() == "originate":
        assert [line for line in lines if line.lower().startswith("async:")] == ["Async: true"]
    assert parsed(members) == request
