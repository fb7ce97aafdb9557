"""Metrics of the event loop, of plugins and of the log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from amiws_gevent import __version__
from amiws_gevent.plugins.context import Desk
from tests.support.assembly import Assembly


@pytest.fixture
def assembly() -> Assembly:
    return Assembly()


def plugin(name: str, **values: Any) -> Any:
    state = {"seconds": 0.0, "log_seconds": 0.0, "dropped": 0, "suspended": False, "faults": {}}
    queue = SimpleNamespace(dropped=values.pop("queue_dropped", 0))
    hooks = dict.fromkeys(values.pop("hooks", ()))
    return SimpleNamespace(
        name=name,
        hooks=hooks,
        queue=queue,
        desk=Desk(name),
        state=SimpleNamespace(**(state | values)),
    )


def test_the_event_loop(assembly: Assembly) -> None:
    now = [assembly.pauses._clock()]
    assembly.pauses._clock = lambda: now[0]
    assembly.pauses.polled()
    now[0] += 0.25
    assembly.pauses.about_to_poll()
    found = assembly.samples()
    assert found["amiws_reader_pause_seconds", ""] == pytest.approx(0.25)
    assert found["amiws_reader_pause_longest_seconds", ""] == pytest.approx(0.25)
    assert found["amiws_reader_long_pauses_total", ""] == 1
    assert found["amiws_loop_busy_seconds_total", ""] == pytest.approx(0.25)
    assert found["amiws_loop_turns_total", ""] == 1


def test_plugins(assembly: Assembly) -> None:
    assembly.plugins += [
        plugin(
            "journal",
            log_seconds=1.5,
            hooks=("amiws_log_message",),
            queue_dropped=8,
        ),
        plugin(
            "mask",
            seconds=0.5,
            dropped=2,
            suspended=True,
            hooks=("amiws_transform_message",),
            faults={"amiws_transform_message": 3, "greenlet": 1},
        ),
    ]
    assembly.plugins[0].desk.losses.add(4)
    found = assembly.samples()
    assert found["amiws_plugin_lost_messages_total", "journal"] == 4
    assert found["amiws_plugin_lost_messages_total", "mask"] == 0
    assert found["amiws_plugin_seconds_total", "journal,log"] == 1.5
    assert found["amiws_plugin_seconds_total", "mask,messages"] == 0.5
    assert found["amiws_plugin_faults_total", "journal,amiws_log_message"] == 0
    assert found["amiws_plugin_faults_total", "mask,amiws_transform_message"] == 3
    assert found["amiws_plugin_faults_total", "mask,greenlet"] == 1
    assert found["amiws_plugin_dropped_messages_total", "mask"] == 2
    assert found["amiws_plugin_dropped_calls_total", "journal"] == 8
    assert found["amiws_plugin_dropped_calls_total", "mask"] == 0
    assert found["amiws_plugin_suspended", "mask"] == 1
    assert found["amiws_plugin_suspended", "journal"] == 0


def test_the_rest(assembly: Assembly) -> None:
    found = assembly.samples()
    assert found["amiws_log_lines_lost_total", ""] == 3
    (build,) = [labels for name, labels in found if name == "amiws_build_info"]
    assert build.startswith(f"{__version__},3."), build
    for name in ("open_fds", "max_fds", "resident_memory_bytes", "cpu_seconds_total"):
        assert found[f"process_{name}", ""] > 0


def test_the_counters_and_events_of_plugins(assembly: Assembly) -> None:
    one, other = plugin("a/x.py"), plugin("b/x.py")
    for made, value in ((one, 2), (other, 3)):
        made.desk.counter("alarms", "How often.").add(value)
    one.desk.events["dropped"] = 7
    assembly.plugins += [one, other]
    found = assembly.samples()
    assert found["amiws_own_x_alarms_total", "a/x.py"] == 2
    assert found["amiws_own_x_alarms_total", "b/x.py"] == 3
    assert found["amiws_plugin_events_total", "a/x.py,dropped"] == 7
    assert found["amiws_plugin_events_total", "b/x.py,published"] == 0
