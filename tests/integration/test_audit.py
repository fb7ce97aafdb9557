"""The audit of the real program: killed, on a full disk, moved by a reload, verified."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from amiws_gevent.audit import check, files
from amiws_gevent.audit.verify import Report
from tests.support.ami_server import AmiServer
from tests.support.forkserver import run_program
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.v2_client import V2Client
from tests.support.ws_client import Client, is_error

ACTIONS = 1000


class Place:
    """An audit in a folder, its key in another, and the configuration that has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "log" / "audit.jsonl"
        self.key = folder / "keys" / "audit.key"
        self.file.parent.mkdir()
        self.key.parent.mkdir(mode=0o700)

    def configuration(self, ami: AmiServer, more: str = "", file: Path | None = None) -> str:
        audit = f"audit: {{file: {file or self.file}, key_file: {self.key}{more}}}\n"
        limits = "limits: {actions_per_second: 1000000, actions_burst: 1000000}\n"
        return configuration(ami_host(ami.port), more=audit + limits)

    def records(self) -> list[dict[str, Any]]:
        """All whole ones."""
        found = []
        for path in [*files.finished_files(self.file), self.file]:
            if path.exists():
                lines = path.read_bytes().splitlines(keepends=True)
                found += [json.loads(line) for line in lines if line.endswith(b'"}\n')]
        return found

    def numbers(self, what: str = "action") -> list[int]:
        """Of the actions that were allowed, in the order of the audit."""
        return [
            int(record["arguments"]["Number"])
            for record in self.records()
            if record["what"] == what and record["allowed"] and "Number" in record["arguments"]
        ]

    def verify(self) -> Report:
        paths = [*files.finished_files(self.file), self.file]
        return check.verify_files(paths, [files.read_key(self.key)])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def ami() -> Iterator[AmiServer]:
    with AmiServer() as server:
        yield server


def reached(ami: AmiServer) -> list[int]:
    """The numbers of the actions that the server has got."""
    return [int(number) for number in re.findall(rb"Number: (\d+)\r\n", bytes(ami.received))]


def number(n: int) -> dict[str, Any]:
    return {"Action": "UserEvent", "UserEvent": "Test", "Number": n, "Password": "hunter2"}


def on_v2(n: int) -> dict[str, Any]:
    return {"op": "action", "id": n, "server": 1, "action": number(n)}


@pytest.mark.parametrize(("fsync", "after"), [("no", 0), ("no", 400), ("yes", 1), ("yes", 250)])
def test_killed_in_the_middle_of_a_thousand_actions(
    place: Place, ami: AmiServer, fsync: str, after: int
) -> None:
    """What reached the server is in the audit, and the next start goes on with the chain."""
    text = place.configuration(ami, f", fsync: {fsync}, max_size: 64 KiB")
    with Program(place.folder, text) as program:
        ami.wait_login()
        program.wait_for_log("connected to 127.0.0.1")
        classic, v2 = Client(program.port), V2Client(program.port)
        for n in range(ACTIONS):
            if n % 40:
                classic.send(number(n))
            else:  # a client may have 32 at work
                v2.send(on_v2(n))
        wait_until(lambda: len(reached(ami)) > after, "actions that arrive")
        program.process.kill()
        program.process.wait(WAIT)
        wait_until(lambda: not any(one.logged_in for one in ami.connections), "the end")
        classic.close()
        v2.close()
    sent, recorded = reached(ami), place.numbers()
    assert len(sent) > after
    assert set(sent) <= set(recorded)
    assert len(recorded) == len(set(recorded))
    assert place.verify().problems == []
    assert b"hunter2" not in place.file.read_bytes()

    before = place.records()
    with Program(place.folder, text) as program, Client(program.port) as client:
        program.wait_for_log("connected to 127.0.0.1")
        client.send(number(5000))
        wait_until(lambda: 5000 in reached(ami), "one more action")
    report = place.verify()
    assert report.problems == []
    now = place.records()
    assert now[: len(before)] == before
    assert [record["seq"] for record in now] == list(range(1, len(now) + 1))
    assert now[-1]["what"] == "stop"
    assert 5000 in place.numbers()


def test_all_that_is_done_is_there_with_its_result(place: Place, ami: AmiServer) -> None:
    with (
        Program(place.folder, place.configuration(ami, ", fsync: no")) as program,
        V2Client(program.port) as v2,
        Client(program.port) as classic,
    ):
        program.wait_for_log("connected to 127.0.0.1")
        for n in range(30):
            v2.send(on_v2(n))
        url = f"http://127.0.0.1:{program.port}/api/v1"
        answer = requests.post(
            f"{url}/actions", json={"server": 1, "action": number(60)}, timeout=WAIT
        )
        assert answer.json()["replies"][0]["outcome"] == "answered"
        classic.send({"Action": "Ping", "ActionID": "7"})
        classic.send({"Action": "Logoff", "ActionID": "x"})
        classic.wait_for(is_error, "a refusal")
        wait_until(lambda: len(reached(ami)) == 31, "the actions")
        wait_until(
            lambda: sum(record["what"] == "reply" for record in place.records()) == 33,
            "their results",
        )

        def shown() -> dict[str, Any]:
            found = requests.get(f"{url}/audit", params={"what": "reply"}, timeout=WAIT)
            made: dict[str, Any] = found.json()
            return made

        wait_until(lambda: len(shown()["items"]) == 33, "the same in the API")
        assert (shown()["writing"], shown()["reason"]) == (True, "")
        ready = requests.get(f"http://127.0.0.1:{program.port}/readyz", timeout=WAIT).json()
        assert ready["audit"] == {"writing": True, "refusing": False, "reason": ""}
    records = place.records()
    actions = [record for record in records if record["what"] == "action"]
    allowed = {record["ref"] for record in actions if record["allowed"]}
    replies = [record for record in records if record["what"] == "reply"]
    assert {reply["ref"] for reply in replies} == allowed
    (ping,) = [action for action in actions if action.get("action") == "Ping"]
    assert [one["outcome"] for one in replies if one["ref"] == ping["ref"]] == ["sent", "answered"]
    assert {one["outcome"] for one in replies if one["ref"] != ping["ref"]} == {"answered"}
    (refused,) = [record for record in records if record.get("code")]
    assert refused["code"] == "action_refused"
    assert [record["what"] for record in records[:3]] == ["begin", "start", "plugins"]
    assert place.verify().sound


def test_a_full_disk_refuses_and_recovers(place: Place, ami: AmiServer) -> None:
    """The kernel lets no file grow past a limit: writes are cut, and then fail."""
    with (
        Program(place.folder, place.configuration(ami)) as program,
        Client(program.port) as client,
    ):
        program.wait_for_log("connected to 127.0.0.1")
        for n in range(100):
            client.send(number(n))
        wait_until(lambda: len(reached(ami)) == 100, "the actions")
        wait_until(lambda: len(place.records()) >= 203, "their records")
        size = place.file.stat().st_size
        assert program.log_file.stat().st_size < size
        pid, limit = program.process.pid, resource.RLIMIT_FSIZE
        before = resource.prlimit(pid, limit, (size + 700, resource.RLIM_INFINITY))
        for n in range(100, 120):
            client.send(number(n))
        wait_until(lambda: sum(map(is_error, client.messages)) >= 16, "refusals")
        told = [message for message in client.messages if is_error(message)]
        assert "the audit cannot be written" in told[-1]["data"]["Message"]
        url = f"http://127.0.0.1:{program.port}"
        answer = requests.post(
            f"{url}/api/v1/actions", json={"server": 1, "action": number(900)}, timeout=WAIT
        )
        assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert "amiws_audit_failing 1.0" in requests.get(f"{url}/metrics", timeout=WAIT).text
        ready = requests.get(f"{url}/readyz", timeout=WAIT)
        assert (ready.status_code, ready.json()["audit"]["refusing"]) == (200, True)
        resource.prlimit(pid, limit, before)
        program.wait_for_log("writing the audit again after")
        client.send(number(950))
        wait_until(lambda: 950 in reached(ami), "an action once there is room")
    sent = reached(ami)
    assert 900 not in sent
    assert set(sent) <= set(place.numbers())
    assert program.log.count("cannot write the audit") == 1
    assert place.verify().problems == []
    (outage,) = [record for record in place.records() if record["what"] == "outage"]
    assert outage["refused"] >= 1


def test_a_removed_folder(place: Place, ami: AmiServer) -> None:
    with (
        Program(place.folder, place.configuration(ami)) as program,
        Client(program.port) as client,
    ):
        program.wait_for_log("connected to 127.0.0.1")
        client.send(number(1))
        wait_until(lambda: reached(ami) == [1], "the action")
        shutil.rmtree(place.file.parent)
        client.send({**number(2), "ActionID": "two"})
        refusal = client.wait_for(is_error, "a refusal")
        assert refusal["data"]["ActionID"] == "two"
        place.file.parent.mkdir()
        program.wait_for_log("writing the audit again after")
        client.send(number(3))
        wait_until(lambda: reached(ami) == [1, 3], "the next action")
    assert place.verify().problems == []
    assert place.numbers() == [3]
    assert place.records()[0]["before"]["seq"] > 1


def test_or_actions_go_on(place: Place, ami: AmiServer) -> None:
    with (
        Program(place.folder, place.configuration(ami, ", on_failure: allow")) as program,
        Client(program.port) as client,
    ):
        program.wait_for_log("connected to 127.0.0.1")
        shutil.rmtree(place.file.parent)
        for n in range(20):
            client.send(number(n))
        wait_until(lambda: len(reached(ami)) == 20, "the actions")
        place.file.parent.mkdir()
        program.wait_for_log("writing the audit again after")
    assert place.numbers() == list(range(20))
    assert place.verify().problems == []


def test_a_reload_turns_it_on_moves_it_and_turns_it_off(place: Place, ami: AmiServer) -> None:
    off = configuration(ami_host(ami.port))
    (place.folder / "new").mkdir()
    other = place.folder / "new" / "a.jsonl"
    nowhere = place.folder / "none" / "a"
    with Program(place.folder, off) as program:
        program.reload(place.configuration(ami))
        program.wait_for_log("configuration applied", 1)
        program.reload(place.configuration(ami, file=other))
        program.wait_for_log("configuration applied", 2)
        program.reload(place.configuration(ami, file=nowhere))
        program.wait_for_log("configuration not applied", 1)
        program.reload(off)
        program.wait_for_log("configuration applied", 3)
        wait_until(lambda: b'"what":"off"' in other.read_bytes(), "its end")
    first = place.records()
    kinds = ["begin", "reload", "plugins", "reload", "off"]
    assert [record["what"] for record in first] == kinds
    assert first[1]["changed"] == [
        "audit",
        "limits.actions_per_second",
        "limits.actions_burst",
    ]
    assert first[3]["changed"] == ["audit.file"]
    assert first[4]["to"] == str(other)
    assert place.verify().sound
    moved = [json.loads(line) for line in other.read_bytes().splitlines()]
    assert [record["what"] for record in moved] == [
        "begin",
        "on",
        "reload",
        "plugins",
        "reload",
        "reload",
        "off",
    ]
    assert moved[4]["allowed"] is False
    assert "No such file" in moved[4]["reason"]
    assert "audit" in moved[5]["changed"]


def test_a_start_that_must_not_go_on(place: Place, ami: AmiServer) -> None:
    place.file.symlink_to(place.folder / "elsewhere")
    file = place.folder / "amiws.yaml"
    file.write_text(place.configuration(ami))
    done = run_program("-f", file)
    assert done.returncode == 73
    assert "audit.jsonl: it is a symbolic link" in done.stderr


def test_the_command_line_verifies(place: Place, ami: AmiServer) -> None:
    with Program(place.folder, place.configuration(ami)) as program, Client(program.port) as client:
        program.wait_for_log("connected to 127.0.0.1")
        client.send(number(1))
        wait_until(lambda: reached(ami) == [1], "the action")
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(WAIT) == 0
    heads = re.findall(r"audit\.?\S*: head (\S+) of", program.log)
    assert heads

    def verify(*more: str) -> subprocess.CompletedProcess[str]:
        return run_program("-f", place.folder / "amiws.yaml", "--audit-verify", place.file, *more)

    heads_given = [word for head in heads for word in ("--audit-head", head)]
    done = verify(*heads_given)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"head {heads[-1]}" in done.stdout
    whole = place.file.read_bytes()
    place.file.write_bytes(whole[: whole[:-1].rindex(b"\n") + 1])
    assert verify().returncode == 0  # nobody can tell
    done = verify(*heads_given)
    assert done.returncode == 65
    assert "WRONG: " in done.stdout
    assert "the end is missing" in done.stdout
    place.file.write_bytes(whole.replace(b'"Number":"1"', b'"Number":"2"'))
    assert "was changed" in verify("--audit-key", str(place.key)).stdout
    assert verify("--audit-head", "x").returncode == 2
    assert verify("--audit-key", str(place.folder / "none")).returncode == 73
