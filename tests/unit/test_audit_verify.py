"""What was done to an audit is told, as one thing where one thing was done."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from amiws_gevent.audit import records
from amiws_gevent.audit.chain import Head, Key
from amiws_gevent.audit.verify import MOST_PROBLEMS, Report, Verifier
from tests.support.audit import KEY, NOW, a_file, lines_behind

Lines = list[bytes]


def verified(
    *files: Sequence[bytes], heads: Sequence[Head] = (), keys: Sequence[Key] = (KEY,)
) -> Report:
    verifier = Verifier(keys, heads)
    for number, lines in enumerate(files):
        verifier.file("abc"[number], lines)
    return verifier.finish()


def three_files() -> tuple[list[Lines], list[Head]]:
    made: list[Lines] = []
    heads: list[Head] = []
    before = None
    for name in "abc":
        lines, head = a_file(before, 9)
        made.append(lines)
        heads.append(head)
        before = name, head
    return made, heads


def test_what_is_whole() -> None:
    files, heads = three_files()
    report = verified(*files, heads=heads)
    assert (report.problems, report.notices, report.records) == ([], [], 30)
    assert (report.first, report.last) == (1, heads[-1])
    assert report.times == (records.stamp(NOW), records.stamp(NOW + 8))


def test_what_is_before_the_first_file_is_not_given() -> None:
    files, heads = three_files()
    report = verified(*files[1:], heads=heads)
    assert report.problems == []
    assert report.notices == [
        "a:1: goes on from a, record 10: not given",
        "the head 10 is of before the first file",
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: lines.pop(5), ["b:6: record 16 is missing before this line"]),
        (
            lambda lines: lines.__delitem__(slice(3, 6)),
            ["b:4: records 14 to 16 are missing before"],
        ),
        (lambda lines: lines.pop(0), ["b:1: the first line", "b:1: record 11 is missing"]),
        (
            lambda lines: lines.__setitem__(5, lines[5].replace(b'"u4"', b'"u5"')),
            ["b:6: record 16 was changed"],
        ),
        (
            lambda lines: lines.__setitem__(5, lines[5].replace(b'"mac":"', b'"mac":"00', 1)),
            ["b:6: is no record", "b:7: record 16 is missing before this line"],
        ),
        (
            lambda lines: lines.__setitem__(slice(4, 6), [lines[5], lines[4]]),
            ["b:6: record 15 is not in its place"],
        ),
        (lambda lines: lines.insert(6, lines[5]), ["b:7: record 16 is there twice"]),
        (
            lambda lines: lines.__setitem__(5, lines[5].replace(b'"seq":16', b'"seq":916')),
            ["b:6: the number of this record was changed"],
        ),
        (
            lambda lines: lines.insert(5, lines[5].replace(b'"u4"', b'"u9"')),
            ["b:6: record 16 was changed", "b:7: record 16 is there twice"],
        ),
        (lambda lines: lines.insert(5, b"\n"), ["b:6: is no record"]),
        (lambda lines: lines.insert(5, b"x\n"), ["b:6: is no record"]),
    ],
)
def test_one_change_in_the_middle(change: Callable[[Lines], object], told: list[str]) -> None:
    files, _ = three_files()
    change(files[1])
    problems = verified(*files).problems
    assert len(problems) == len(told), problems
    for problem, beginning in zip(problems, told, strict=True):
        assert problem.startswith(beginning)


def test_the_last_line_changed() -> None:
    files, _ = three_files()
    files[2][-1] = files[2][-1].replace(b"u8", b"u7")
    assert verified(*files).problems == ["c:10: record 30 was changed"]


def test_a_file_between_is_missing_or_an_end_is() -> None:
    files, _ = three_files()
    (problem,) = verified(files[0], files[2]).problems
    assert problem.startswith("b:1: records 11 to 20 are missing")
    (problem,) = verified(files[0], files[1][:-2], files[2]).problems
    assert problem.startswith("c:1: records 19 to 20 are missing: the end of the file before")


def test_files_of_two_trails_or_in_the_wrong_order() -> None:
    files, _ = three_files()
    other, _ = a_file(None, 3)
    (problem,) = verified(files[0], other).problems[:1]
    assert "does not go on where the file before ends" in problem
    assert verified(files[1], files[0]).problems


def test_an_end_that_is_cut_off_is_known_by_the_head_alone() -> None:
    files, heads = three_files()
    files[2] = files[2][:-1]
    assert verified(*files).sound
    (problem,) = verified(*files, heads=heads).problems
    assert problem.startswith("c: the end is missing: there was a record 30, and the files end")


def test_what_was_written_anew_with_the_key_is_known_by_a_head() -> None:
    _files, heads = three_files()
    again, _ = lines_behind(
        Head(), [records.begin(NOW, why="first", key=KEY.name, before=None)] * 30
    )
    assert verified(again).sound
    (problem,) = verified(again, heads=heads[:1]).problems
    assert "is not the one of the head that is known" in problem


def test_a_torn_line_at_the_end() -> None:
    files, _ = three_files()
    files[2].append(b'{"seq":31,"ti')
    report = verified(*files)
    assert (report.problems, len(report.notices)) == ([], 1)
    assert "c:11: the last line is not whole" in report.notices[0]
    files[0].append(b'{"seq":')
    (problem,) = verified(*files).problems
    assert problem.startswith("a:11: the last line is not whole, though another file follows")


def test_a_torn_line_that_the_program_has_closed_over() -> None:
    lines, head = a_file(None, 2)
    rest, _ = lines_behind(head, [records.torn(NOW, 5), records.record("stop", NOW, {})])
    report = verified([*lines, b"12345\n", *rest])
    assert (report.problems, len(report.notices)) == ([], 1)
    assert "(5 bytes) is not whole" in report.notices[0]
    for wrong in ([], [b"1234\n"], [b"12345\n", b"12345\n"]):
        assert verified([*lines, *wrong, *rest]).problems


def test_outages_and_removed_files_are_told() -> None:
    lines, head = a_file(None, 0)
    more, _ = lines_behind(
        head,
        [
            records.outage(NOW, since=NOW, reason="No space left", refused=3, lost=1),
            records.removed(NOW, ["x-1.jsonl"]),
        ],
    )
    report = verified([*lines, *more])
    assert report.sound
    assert "No space left" in report.notices[0]
    assert "3 actions were refused, 1 records are lost" in report.notices[0]
    assert "x-1.jsonl" in report.notices[1]


def test_keys() -> None:
    other = Key(b"q" * 32)
    first, head = a_file(None, 2)
    second, _ = a_file(("a", head), 2, key=other, why=records.NEW_KEY)
    assert verified(first, second, keys=[KEY, other]).sound
    (problem,) = verified(first, second).problems
    assert problem == f"b:1: the key of this file ({other.name}) is not given"


def test_an_empty_file_is_told() -> None:
    files, _ = three_files()
    report = verified(files[0], [], files[1])
    assert (report.problems, report.notices) == ([], ["b: is empty"])


def test_many_problems_are_counted() -> None:
    lines, _ = a_file(None, 2 * MOST_PROBLEMS)
    report = verified([line.replace(b'"login"', b'"logon"') for line in lines])
    assert (len(report.problems), report.more) == (MOST_PROBLEMS, MOST_PROBLEMS)


def test_any_change_of_bytes_but_of_the_end_is_found() -> None:
    """A byte changed, lines removed, moved or repeated, anywhere: never sound."""
    chance = random.Random(7)
    files, heads = three_files()
    whole = [line for lines in files for line in lines]
    for _ in range(1500):
        changed = [list(lines) for lines in files]
        lines = chance.choice(changed)
        at, to = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                place = chance.randrange(len(lines[at]))
                byte = bytes([lines[at][place] ^ (1 << chance.randrange(8))])
                data = lines[at][:place] + byte + lines[at][place + 1 :]
                lines[at : at + 1] = data.splitlines(keepends=True)
            case 1:
                del lines[at]
            case 2:
                lines.insert(to, lines.pop(at))
            case 3:
                lines.insert(to, lines[at])
        now = [line for lines in changed for line in lines]
        if b"".join(now) == b"".join(whole):
            continue
        report = verified(*changed, heads=heads[-1:])
        cut = b"".join(whole).startswith(b"".join(now)[:-1])
        assert not report.sound or (cut and report.notices), now
