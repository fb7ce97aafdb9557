"""``python -m amiws_gevent.simulator.replay``: its words, its exit statuses, its life."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from amiws_gevent.simulator.replay.__main__ import main
from tests.support.patience import WAIT
from tests.support.program import ROOT, wait_until
from tests.support.recordings import ACCEPTED, BANNER, event, journal_line, json_of, write_journal


class Replay:
    """The command as a child process."""

    def __init__(self, folder: Path, *words: str | Path) -> None:
        self.output = folder / "replay.log"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "amiws_gevent.simulator.replay", *words],
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def port(self) -> int:
        wait_until(lambda: "listening" in self.said or self.ended, "listening")
        return int(re.findall(r"listening on 127.0.0.1:(\d+) ", self.said)[0])

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.said, f"{text!r} in {self.said!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert "Traceback" not in self.said, self.said


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "a.jsonl", [BANNER, ACCEPTED, event("A"), event("B")])


def log_in(replay: Replay) -> Iterator[bytes]:
    """Whatever comes, in pieces."""
    with socket.create_connection(("127.0.0.1", replay.port), timeout=WAIT) as client:
        client.sendall(b"Action: Login\r\nUsername: u\r\nSecret: s\r\n\r\n")
        while data := client.recv(65536):
            yield data


def test_a_recording_from_the_first_client_to_the_end(tmp_path: Path, journal: Path) -> None:
    words = [journal, "--wait-for-client", "--exit", "--user", "u", "--secret", "s"]
    with Replay(tmp_path, *words) as replay:
        assert b"".join(log_in(replay)) == (
            b"Asterisk Call Manager/5.0.1\r\n"
            b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n"
            b"Event: A\r\n\r\nEvent: B\r\n\r\n"
        )
        assert replay.process.wait(WAIT) == 0
    assert replay.said.splitlines()[0].endswith(" (user u)")
    assert "\nplayed 2 packets\n" in replay.said


def test_it_stays_until_a_signal(tmp_path: Path, journal: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with Replay(tmp_path, journal) as replay:
            replay.wait_for("played 2 packets")
            assert next(log_in(replay)).startswith(b"Asterisk Call Manager/5.0.1")
            replay.process.send_signal(number)
            assert replay.process.wait(WAIT) == 0


def test_a_signal_while_it_plays(tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "a.jsonl", [event("A"), event("B")], gap=3600)
    with Replay(tmp_path, journal) as replay:
        assert replay.port
        replay.process.terminate()
        assert replay.process.wait(WAIT) == 0
    assert "played" not in replay.said


def test_a_loop_begins_anew_with_each_client(tmp_path: Path, journal: Path) -> None:
    with Replay(tmp_path, journal, "--loop", "--speed", "max") as replay:
        for _ in range(3):
            received = b""
            for data in log_in(replay):
                received += data
                if received.endswith(b"Event: B\r\n\r\n"):
                    break
            assert received.endswith(b"accepted\r\n\r\nEvent: A\r\n\r\nEvent: B\r\n\r\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: FILE"),
        (["x", "--speed", "0"], "argument --speed: invalid speed value: '0'"),
        (["x", "--rate", "-1"], "--rate must be 0 or more"),
        (["x", "--rate", "inf"], "--rate must be 0 or more"),
        (["x", "--user", "u"], "--user and --secret must be given together"),
        (["x", "--loop", "--exit"], "not allowed with argument"),
        (["x", "--port", "many"], "invalid port value"),
        (["x", "--port", "70000"], "--port: must be from 0 to 65535"),
    ],
)
def test_wrong_words(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_bytes(b"{}")
    assert main([str(tmp_path / "a")]) == 66
    assert capsys.readouterr().err.startswith(f"amiws-gevent replay: {tmp_path}/a:1: JSON, but no")


def test_a_port_that_is_taken(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        assert main([str(journal), "--port", number]) == 71
    assert f"cannot listen on 127.0.0.1:{number}" in capsys.readouterr().err


def test_a_host_that_is_not_known(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(journal), "--host", "nowhere.invalid"]) == 71
    assert "cannot listen on nowhere.invalid:0" in capsys.readouterr().err


def test_a_server_that_is_not_in_the_journal(tmp_path: Path, journal: Path) -> None:
    with Replay(tmp_path, journal, "--server", "other", "--loop") as replay:
        assert replay.process.wait(WAIT) == 66
    assert "nothing to play; messages in the files: 4 of 1 (pbx)" in replay.said


def test_an_empty_journal(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with Replay(tmp_path, tmp_path / "a") as replay:
        assert replay.process.wait(WAIT) == 66
    assert "nothing to play; messages in the files: none" in replay.said


def test_faults_are_told_but_not_for_ever(tmp_path: Path) -> None:
    good = journal_line(json_of(event("A")))
    (tmp_path / "a").write_bytes(good + b"bad\n" * 100 + good)
    with Replay(tmp_path, tmp_path / "a", "--exit") as replay:
        assert replay.process.wait(WAIT) == 0
    assert "played 2 packets, 100 faults reported" in replay.said
    assert replay.said.count("skipped") == 20
    assert "more faults follow and are only counted" in replay.said


def test_a_file_that_goes_while_it_is_played(tmp_path: Path, journal: Path) -> None:
    with Replay(tmp_path, journal, "--loop", "--speed", "max") as replay:
        replay.wait_for("waiting for a client")
        journal.unlink()
        for _ in log_in(replay):
            pass
        assert replay.process.wait(WAIT) == 66
    assert "a.jsonl: cannot be read: " in replay.said
