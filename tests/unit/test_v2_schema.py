"""docs/protocol.md and its schema say what the models say, and the examples follow them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from amiws_gevent.actions import MOST_OF_A_CLIENT, OUTCOMES, PROBLEMS
from amiws_gevent.feeds.encoding import REASONS
from amiws_gevent.feeds.feed import MOST_SUBSCRIPTIONS
from amiws_gevent.feeds.filters import LONGEST_VALUE, MOST_VALUES
from amiws_gevent.feeds.positions import LONGEST
from amiws_gevent.v2 import schema as made
from amiws_gevent.v2.codes import CODES
from amiws_gevent.v2.messages import MESSAGES, Reply
from amiws_gevent.v2.requests import MAX_DEPTH, REQUESTS
from amiws_gevent.v2.session import SUBSCRIPTION_RATE
from amiws_gevent.web.admission import BURST_TIME
from tests.support.v2 import faults

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / made.PAGE_FILE).read_text(encoding="utf-8")
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def test_the_schema_file_is_the_models() -> None:
    assert (ROOT / made.SCHEMA_FILE).read_text(encoding="utf-8") == made.schema_text(), (
        "run python -m amiws_gevent.v2.schema"
    )


def test_the_pages_tables_are_the_models() -> None:
    assert made.with_tables(PAGE) == PAGE, "run python -m amiws_gevent.v2.schema"


def test_a_page_without_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no place for the tables \['hello'\]"):
        made.with_tables(PAGE.replace("<!-- table: hello -->", ""))


def test_the_command_writes_both(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    empty = re.sub(r"(<!-- table: .*? -->\n).*?(<!-- end)", r"\1\2", PAGE, flags=re.DOTALL)
    assert empty != PAGE
    (tmp_path / made.PAGE_FILE).write_text(empty, encoding="utf-8")
    made.main([str(tmp_path)])
    assert (tmp_path / made.PAGE_FILE).read_text(encoding="utf-8") == PAGE
    assert (tmp_path / made.SCHEMA_FILE).read_text(encoding="utf-8") == made.schema_text()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(made.json_schema())


def test_every_member_has_its_meaning() -> None:
    definitions = made.json_schema()["$defs"]
    for model in (*MESSAGES.values(), *REQUESTS.values()):
        for name, member in definitions[model.__name__]["properties"].items():
            assert name == "op" or member.get("description"), (model, name)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["op"])
def test_the_examples_are_in_their_form(example: dict[str, Any]) -> None:
    assert faults(example) == []


def test_each_message_has_an_example() -> None:
    assert {example["op"] for example in EXAMPLES} == {*MESSAGES, *REQUESTS}
    for op in (*MESSAGES, *REQUESTS):
        assert f"\n### {op}\n" in PAGE


def test_what_is_not_in_its_form_is_found() -> None:
    assert faults({"op": "pong", "id": 1, "time": 1}) == []
    assert faults({"op": "pong", "id": 1}) != []
    assert faults({"op": "pong", "id": 1, "time": 1, "more": 1}) != []
    assert faults({"op": "news"}) != []
    assert faults({"id": 1}) != []


def test_unknown_members_are_allowed_by_the_schema() -> None:
    validator = Draft202012Validator(made.json_schema())
    assert validator.is_valid({"op": "pong", "id": 1, "time": 1, "more": {"x": 1}})


def test_the_page_names_outcomes_codes_and_bounds() -> None:
    outcomes = made.json_schema()["$defs"][Reply.__name__]["properties"]["outcome"]["enum"]
    for word in (*outcomes, *CODES, *REASONS):
        assert f"\n| `{word}` | " in PAGE
    assert f"| objects and lists within each other | {MAX_DEPTH} |" in PAGE
    assert f"| a position | {LONGEST:,} characters |" in PAGE
    assert f"| subscriptions of a client | {MOST_SUBSCRIPTIONS} |" in PAGE
    at_once = f"{SUBSCRIPTION_RATE * BURST_TIME:.0f} at once, then {SUBSCRIPTION_RATE:.0f} a second"
    assert f"| subscriptions that a client begins | {at_once} |" in PAGE
    assert f"({at_once})" in CODES["too_many_requests"].meaning
    assert f"| actions of a client at work | {MOST_OF_A_CLIENT} |" in PAGE
    assert f"up to\n{MOST_VALUES} values of up to {LONGEST_VALUE} characters" in PAGE


def test_what_other_modules_say_is_in_the_specification() -> None:
    outcomes = made.json_schema()["$defs"][Reply.__name__]["properties"]["outcome"]["enum"]
    assert set(outcomes) == set(OUTCOMES)
    assert {code: CODES[code].status for code in PROBLEMS} == PROBLEMS
