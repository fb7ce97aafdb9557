"""The specifications say what an author has to know; the calls agree with them."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint
from pydantic import BaseModel

from amiws_gevent.plugins import chain, entities, hookspecs, manager, statenews
from amiws_gevent.plugins.hookcheck import PREFIX

HOOKS: dict[str, Callable[..., Any]] = {
    name: value for name, value in vars(hookspecs).items() if name.startswith(PREFIX)
}

per_hook = pytest.mark.parametrize("name", HOOKS)


def test_these_are_the_hooks() -> None:
    assert list(HOOKS) == [
        "amiws_settings",
        "amiws_startup",
        "amiws_shutdown",
        "amiws_reload",
        "amiws_server_changed",
        "amiws_filter_message",
        "amiws_transform_message",
        "amiws_transform_entity",
        "amiws_log_message",
        "amiws_state_changed",
        "amiws_authorize_client",
        "amiws_authorize_action",
        "amiws_client_connected",
        "amiws_client_disconnected",
        "amiws_blueprints",
    ]


@per_hook
def test_each_says_when_it_fires_and_what_its_raising_does(name: str) -> None:
    text = inspect.getdoc(HOOKS[name]) or ""
    assert re.search(r"^Called\b|\. Called\b", text, re.MULTILINE)
    assert re.search(r"\b[Rr]aising\b", text)


@per_hook
def test_each_that_answers_says_what_the_answer_does(name: str) -> None:
    if inspect.signature(HOOKS[name]).return_annotation in ("None", None):
        return
    text = inspect.getdoc(HOOKS[name]) or ""
    assert re.search(r"None|False|pydantic model|blueprints", text)


@per_hook
def test_each_is_typed(name: str) -> None:
    names = {"Blueprint": Blueprint, "BaseModel": BaseModel}
    hints = typing.get_type_hints(HOOKS[name], vars(hookspecs), names)
    assert set(hints) == {"return", *inspect.signature(HOOKS[name]).parameters}


def test_every_hook_is_called_from_somewhere() -> None:
    """By the names that the core has for them."""
    source = "".join(inspect.getsource(module) for module in (chain, entities, manager, statenews))
    called = set(re.findall(r'"(amiws_\w+)"', source))
    assert called == set(HOOKS) - {"amiws_settings"}  # which loading calls
