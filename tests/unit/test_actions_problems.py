from __future__ import annotations

import re

import pytest

from amiws_gevent.actions.problems import PROBLEMS, ActionProblem
from amiws_gevent.errors import AmiwsError


@pytest.mark.parametrize("code", PROBLEMS)
def test_each_code_has_a_status_of_a_client_or_a_server_at_fault(code: str) -> None:
    problem = ActionProblem(code, "why", 2.5)
    assert isinstance(problem, AmiwsError)
    assert (problem.code, problem.message, str(problem), problem.retry_after) == (
        code,
        "why",
        "why",
        2.5,
    )
    assert 400 <= problem.status < 600
    assert re.fullmatch("[a-z_]+", code)
