from __future__ import annotations

from amiws_gevent.state.way import MOST_STEPS, lengthened, step


def test_a_step_leaves_out_what_is_not_known() -> None:
    assert step("rang", (5, None), who="203", to=None) == {"what": "rang", "at": 5, "who": "203"}
    assert step("ended", (5, 4)) == {"what": "ended", "at": 5, "server_at": 4}


def test_a_long_way_keeps_its_beginning_and_its_end() -> None:
    way = [step("rang", (at, None)) for at in range(MOST_STEPS)]
    assert lengthened(way[:-1], way[-1:]) == way
    longer = lengthened(way, [step("ended", (MOST_STEPS, None))])
    assert len(longer) == MOST_STEPS
    assert longer[: MOST_STEPS // 2] == way[: MOST_STEPS // 2]
    assert longer[-1]["what"] == "ended"
    assert len(way) == MOST_STEPS
