"""The records of all collectors as one list."""

from __future__ import annotations

from typing import Any

from amiws_gevent.crossing.records import merged, numbered

ALL: dict[str, Any] = {"after": 0, "before": 2**53 - 1, "what": "", "user": "", "action": ""}


class Audit:
    """What is needed of a `Trail`."""

    def __init__(self, *records: tuple[int, str], reason: str = "") -> None:
        self.asked: dict[str, Any] = {}
        self._told = {
            "writing": not reason,
            "refusing": bool(reason),
            "reason": reason,
            "items": [{"seq": seq, "time": time, "what": "login"} for seq, time in records],
        }

    def last(self, number: int, **query: Any) -> dict[str, Any]:
        self.asked = query
        return self._told


def at(milliseconds: int) -> str:
    return f"2026-11-29T08:32:57.{milliseconds:03}Z"


def told(audit: Any, collector: str, number: int = 100, **query: Any) -> dict[str, Any]:
    found = numbered(audit, collector, number=number, **{**ALL, **query})
    assert found is not None
    return found


def numbers(told: dict[str, Any]) -> list[tuple[str, int]]:
    return [(one["collector"], one["number"]) for one in told["items"]]


def test_records_are_in_the_order_of_their_time() -> None:
    one = told(Audit((8, at(300)), (7, at(100))), "a")
    other = told(Audit((41, at(200)), (40, at(100))), "b")
    found = merged([one, other], 3)
    assert numbers(found)[:2] == [("a", 8), ("b", 41)]
    assert len(found["items"]) == 3
    assert len({record["seq"] for record in merged([one, other], 9)["items"]}) == 4
    assert all(0 < record["seq"] < 2**53 for record in found["items"])
    assert (found["writing"], found["refusing"], found["reason"]) == (True, False, "")


def test_records_of_one_millisecond_keep_their_order() -> None:
    found = told(Audit((9, at(1)), (8, at(1))), "a")
    assert found["items"][0]["seq"] > found["items"][1]["seq"]


def test_who_has_some_gets_what_is_before_and_behind() -> None:
    audit = Audit((3, at(3)), (2, at(2)), (1, at(1)))
    found = told(audit, "a")
    second = found["items"][1]["seq"]
    assert numbers(told(audit, "a", before=second)) == [("a", 1)]
    assert numbers(told(audit, "a", after=second)) == [("a", 3)]
    assert numbers(told(audit, "a", number=2)) == [("a", 3), ("a", 2)]
    other = told(Audit((90, at(2)), (89, at(1))), "b", after=second)
    assert {number for _, number in numbers(other)} <= {90}, "the cursor holds for all"


def test_what_chooses_is_passed_on_and_outages_are_told() -> None:
    audit = Audit(reason="the disk is full")
    bad = told(audit, "a", what="login", user="bob")
    assert (audit.asked["what"], audit.asked["user"]) == ("login", "bob")
    found = merged([bad, bad, told(Audit(), "b")], 5)
    assert (found["writing"], found["refusing"]) == (False, True)
    assert found["reason"] == "the disk is full"


def test_without_an_audit_there_is_none() -> None:
    class Off:
        def last(self, number: int, **query: Any) -> None:
            return None

    assert numbered(Off(), "a", number=1, **ALL) is None  # type: ignore[arg-type]
