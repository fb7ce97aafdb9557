"""The table of operations."""

from __future__ import annotations

from amiws_gevent.actions import PROBLEMS
from amiws_gevent.api.operations import EVENT_STREAM, OPERATIONS
from amiws_gevent.api.problems import CODES


def test_names_and_paths_are_different() -> None:
    assert len({one.id for one in OPERATIONS}) == len(OPERATIONS)
    assert len({one.path for one in OPERATIONS}) == len(OPERATIONS), "a path has one method"


def test_codes_exist_and_are_of_no_other_api() -> None:
    assert all(set(one.codes) <= set(CODES) for one in OPERATIONS)


def test_an_action_tells_of_all_that_it_may_be_refused_for() -> None:
    (actions,) = [one for one in OPERATIONS if one.id == "actions"]
    assert set(PROBLEMS) <= set(actions.codes)


def test_paths_as_flask_has_them() -> None:
    assert [one.rule for one in OPERATIONS if "<" in one.rule] == ["/state/<kind>"]


def test_streams_can_be_gone_on_with_and_what_acts_is_a_post() -> None:
    for one in OPERATIONS:
        assert ("Last-Event-ID" in one.headers) == (one.media == EVENT_STREAM)
        assert (one.body is not None) == (one.method == "POST")
        assert (one.example is not None) == (one.body is not None)
