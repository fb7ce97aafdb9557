"""Threads: others go on meanwhile, and what is raised is raised here alone."""

from __future__ import annotations

import threading

import gevent
import pytest

from amiws_gevent.runtime.greenlets import GreenletWatch
from amiws_gevent.runtime.threads import in_thread
from tests.support.patience import WAIT


def test_others_go_on() -> None:
    go_on = threading.Event()
    gevent.spawn(go_on.set)
    assert in_thread(lambda: go_on.wait(WAIT)) is True
    assert in_thread(threading.get_ident) != threading.get_ident()


def test_what_it_raises_is_no_fault_of_the_program(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise FileNotFoundError("none")

    watch = GreenletWatch()
    hub = gevent.get_hub()
    monkeypatch.setattr(hub, "handle_error", hub.handle_error)  # put back at the end
    watch.install(hub)
    with pytest.raises(FileNotFoundError, match="none"):
        in_thread(fail)
    assert (watch.deaths, caplog.text) == (0, "")
