"""Plugins in the real program that raise, block, sleep or leave: what that costs the others."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.support.forkserver import run_program
from tests.support.patience import WAIT
from tests.support.plugin_site import QUIET, Site, events, with_notes
from tests.support.program import Program, wait_until
from tests.support.ws_client import Client


def faults_told(program: Program, plugin: str) -> list[str]:
    return [line for line in program.log.splitlines() if f"plugin {plugin}" in line]


class TestIsolation:
    def test_twenty_plugins_of_which_one_raises_and_one_sleeps(self, site: Site) -> None:
        names = [f"p{number:02}" for number in range(18)]
        for name in names:
            site.plugin(
                name,
                """
                def amiws_filter_message(message):
                    return None
                def amiws_transform_message(message):
                    return None
                def amiws_log_message(message):
                    pass
                """,
            )
        site.plugin(
            "raiser", "def amiws_filter_message(message):\n    raise ValueError('always')\n"
        )
        site.plugin("sleeper", "import time\ndef amiws_filter_message():\n    time.sleep(3600)\n")
        # A busy machine may hold the program up within any hook: not so long as that.
        patient = [f"- {name}: {{hook_timeout: 10 s}}\n" for name in [*names, "raiser"]]
        listed = [*patient[:9], patient[-1], "- sleeper\n", *patient[9:-1]]
        with site.program("".join(listed)) as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            wanted = [f"E{number}" for number in range(1000)]
            site.send(*wanted)
            client.wait_for_event("E999")
            assert events(client) == wanted
            (raised,) = faults_told(program, "raiser")
            assert (
                f"amiws_filter_message: {site.plugins / 'raiser.py'}:2: ValueError: always"
                in raised
            )
            cut, suspended = faults_told(program, "sleeper")
            assert "was cut off after " in cut
            assert "suspended until the next reload" in suspended
            assert not any(faults_told(program, name) for name in names)

            program.reload()
            program.wait_for_log("configuration applied")
            site.send("Again", *["More"] * 20, "End")
            client.wait_for_event("End")
            program.wait_for_log("suspended until the next reload", 2)
            assert len(faults_told(program, "raiser")) == 1, "within the same minute"

    def test_no_hook_dodges_the_cut_off(self, site: Site) -> None:
        site.plugin(
            "dodger",
            """
            import time
            def amiws_filter_message(message):
                while message.name == "Bad":
                    try:
                        time.sleep(1)
                    except Exception:
                        pass
            """,
        )
        site.plugin(
            "stubborn",
            """
            import time
            def amiws_transform_message(message):
                while message.name == "Worse":
                    try:
                        time.sleep(1)
                    except:
                        pass
            """,
        )
        with site.program("dodger stubborn") as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            site.send("A", "Bad", "B", "Worse", "C", "Worse", "D")
            client.wait_for_event("D")
            assert events(client) == ["A", "Bad", "B", "Worse", "C", "Worse", "D"]
            assert "was cut off after" in faults_told(program, "dodger")[0]
            assert any("cannot be cut off" in line for line in faults_told(program, "stubborn"))

    def test_computing_too_long_is_counted_as_overrunning(self, site: Site) -> None:
        site.plugin(
            "thinker",
            """
            import time
            def amiws_filter_message(message):
                end = time.thread_time() + 0.06
                while time.thread_time() < end:
                    pass
            """,
        )
        with site.program("thinker") as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            site.send(*["A"] * 20, "End")
            client.wait_for_event("End")
            took, suspended = faults_told(program, "thinker")
            assert re.search(r"amiws_filter_message: took \d+\.\d+ s; its timeout is 0\.05 s", took)
            assert "suspended" in suspended

    def test_so_is_blocking_the_thread_in_c(self, site: Site) -> None:
        site.plugin(
            "blocker",
            """
            import ctypes
            def amiws_filter_message(message):
                ctypes.CDLL(None).usleep(100_000)
            """,
        )
        with site.program("blocker") as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            site.send(*["A"] * 20, "End")
            client.wait_for_event("End")
            took, suspended = faults_told(program, "blocker")
            assert re.search(r"amiws_filter_message: took \d+\.\d+ s; its timeout is 0\.05 s", took)
            assert "suspended" in suspended

    def test_time_that_the_process_does_not_get_is_no_overrun(self, site: Site) -> None:
        # Each of them is stopped as by a machine that is busy: once within computing, once
        # while it waits.
        for name, deed in (("held", "stop()"), ("waiting", "gevent.spawn(stop), gevent.sleep(0)")):
            site.plugin(
                name,
                f"""
                import os, signal, gevent
                def stop():
                    os.kill(os.getpid(), signal.SIGSTOP)
                def amiws_filter_message(message):
                    if message.name == {name!r}:
                        {deed}
                """,
            )
        listed = "".join(f"- {name}: {{hook_timeout: 250 ms}}\n" for name in ("held", "waiting"))
        with site.program(listed) as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            for number in range(6):
                for name in ("held", "waiting"):
                    site.send(name)
                    wait_until(lambda: program.state() == "T", "the program is stopped")
                    time.sleep(0.3)
                    program.process.send_signal(signal.SIGCONT)
                    site.send(f"{name}{number}")
                    client.wait_for_event(f"{name}{number}")
            assert "plugin held" not in program.log
            assert "plugin waiting" not in program.log

    def test_a_plugin_that_would_end_the_program_does_not(self, site: Site) -> None:
        source = "import sys\ndef {}():\n    sys.exit(1)\n"
        for number, hook in enumerate(
            ("filter_message", "transform_message", "log_message", "client_connected")
        ):
            site.plugin(f"exit{number}", source.format(f"amiws_{hook}"))
        with site.program("exit0 exit1 exit2 exit3") as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            site.send("A", "B")
            client.wait_for_event("B")
            assert events(client) == ["A", "B"]
            for number in range(4):
                program.wait_for_log(f"exit{number}.py:3: SystemExit: 1")
            assert program.process.poll() is None

    @pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt", "ValueError"])
    def test_nor_does_one_in_a_greenlet_of_its_own(self, site: Site, error: str) -> None:
        site.plugin(
            "leaver",
            f"""
            import gevent
            def leave():
                raise {error}
            def amiws_filter_message(message):
                if message.name == "Leave":
                    gevent.spawn(leave)
            """,
        )
        with site.program("leaver") as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            site.send("Leave")
            program.wait_for_log(f"leaver.py:3: {error.partition('(')[0]}")
            site.send("B")
            client.wait_for_event("B")
            (told,) = faults_told(program, "leaver")
            assert "a greenlet: " in told
            program.process.terminate()
            assert program.process.wait(WAIT) == 0, "it is the plugin's fault, not the program's"

    @pytest.mark.parametrize("change", ["message.kind = 'x'", "message._unique[5] = 'x'"])
    def test_a_message_changed_in_place_is_lost_alone(self, site: Site, change: str) -> None:
        site.plugin("good", QUIET)
        site.plugin(
            "changer", f"def amiws_transform_message(message):\n    if message.name == 'Bad':\n"
            f"        {change}\n"
        )  # fmt: skip
        with site.program("good changer") as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            site.send("A", "Bad", "B")
            client.wait_for_event("B")
            assert events(client) == ["A", "B"]
            program.wait_for_log("plugin changer in amiws_transform_message")
            site.send("C", "Bad", "D")
            client.wait_for_event("D")
            assert events(client) == ["A", "B", "C", "Bad", "D"], "it is put right"
            dropped, told = faults_told(program, "changer")
            assert "pbx: message dropped because " in dropped
            assert "plugin changer: amiws_transform_message: " in told
            assert "changed a message in place" in told

    @pytest.mark.parametrize("hook", ["amiws_log_message(message)", "amiws_shutdown()"])
    def test_one_that_computes_for_ever_does_not_keep_it_from_its_end(
        self, site: Site, tmp_path: Path, hook: str
    ) -> None:
        site.plugin(
            "endless",
            with_notes(
                f"""
                def amiws_startup(context):
                    note("starts")
                def {hook}:
                    note("computes")
                    while True:
                        pass
                """
            ),
        )
        pid_file = tmp_path / "amiws.pid"
        with site.program("endless", "", "-p", str(pid_file)) as program:
            site.ami.wait_login()
            assert pid_file.exists()
            if "log" in hook:
                site.send("A")
                wait_until(lambda: "computes" in site.notes, "the hook is called")
            program.process.terminate()
            assert program.process.wait(WAIT) == 70
            program.wait_for_log("plugin endless: " + hook.partition("(")[0])
            assert not pid_file.exists()

    def test_nor_does_a_thread_of_a_plugin(self, site: Site) -> None:
        site.plugin(
            "threads",
            """
            import threading, time
            def endless():
                while True:
                    time.sleep(3600)
            threading.Thread(target=endless, name="endless of threads").start()
            def amiws_filter_message(message):
                return None
            """,
        )
        with site.program("threads") as program:
            assert run_program("-f", program.file, "--check").returncode == 0
            site.ami.wait_login()
            program.process.terminate()
            assert program.process.wait(WAIT) == 0
            program.wait_for_log("threads still run, and are not waited for: endless of threads")

    def test_a_log_hook_that_blocks_drops_for_itself_alone(self, site: Site) -> None:
        site.plugin("blocked", "import time\ndef amiws_log_message():\n    time.sleep(3600)\n")
        site.plugin("shut", "import time\ndef amiws_shutdown():\n    time.sleep(3600)\n")
        site.plugin("logs", with_notes("def amiws_log_message(message):\n    note(message.name)\n"))
        more = "limits: {plugin_queue: 20 KiB}\n"
        with site.program("blocked shut logs", more) as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            wanted = [f"E{number}" for number in range(1000)]
            for name in wanted:  # one by one, so that the plugin that works keeps up
                site.send(name)
                if name.endswith("9"):
                    wait_until(lambda last=name: last in site.notes, name)  # type: ignore[misc]
            client.wait_for_event("E999")
            assert events(client) == wanted
            assert [note for note in site.notes if note] == wanted
            program.wait_for_log("plugin blocked: too slow, calls of its hooks dropped")
            assert not faults_told(program, "logs")
            program.process.terminate()
            assert program.process.wait(WAIT) == 0
            program.wait_for_log("plugin blocked: stopped with")
            program.wait_for_log("plugin shut: amiws_shutdown: ")
