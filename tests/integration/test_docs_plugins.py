"""The tutorial of docs/plugins.md in the real program, with its pages and its log."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

from tests.support.ami_server import AmiServer
from tests.support.plugin_docs import boxes, write_plugins
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.v2_client import EventsClient
from tests.support.ws_client import Client, is_error

NO_CALLS = """\
plugin_dirs: {folder}
plugins:
- quiet
- masked:
    digits: 4
    headers: [CallerIDNum, ConnectedLineNum, DNID]
- short_numbers
- no_cards
- permissions
- missed
- hangups:
    file: {folder}/hangups.csv
"""

VAR_SET = b"Event: VarSet\r\nVariable: x\r\n\r\n"
HANGUP = (
    b"Event: Hangup\r\nChannel: PJSIP/100-00000001\r\nCallerIDNum: 0301234567\r\n"
    b"Cause: 16\r\nCause-txt: Normal Clearing\r\nNote: 4111111111111111\r\n\r\n"
)


def test_a_file_of_four_lines_filters_for_all_pages(tmp_path: Path) -> None:
    first = next(box for box in boxes() if box.language == "python")
    (tmp_path / first.name).write_text(first.text)
    with AmiServer() as server:
        plain = configuration(ami_host(server.port))
        named = configuration(ami_host(server.port), more=f"plugins:\n- {tmp_path / first.name}\n")
        with (
            Program(tmp_path, plain) as program,
            Client(program.port) as one,
            EventsClient(program.port) as two,
        ):
            server.wait_login()
            server.send(VAR_SET)
            for page in (one, two):
                page.wait_for_event("VarSet")
            program.reload(named)
            program.wait_for_log("configuration applied")
            server.send(VAR_SET + HANGUP)
            for page in (one, two):
                page.wait_for_event("Hangup")
                names = [message["data"].get("Event") for message in page.messages]
                assert names.count("VarSet") == 1, "the one before the reload"


def test_the_plugins_of_the_tutorial_together(tmp_path: Path) -> None:
    write_plugins(tmp_path)
    more = NO_CALLS.format(folder=tmp_path)
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
        Client(program.port) as page,
    ):
        server.wait_login()
        server.send(VAR_SET + HANGUP)
        hangup = page.wait_for_event("Hangup")
        # masked hides four digits, and then short_numbers three of what is left.
        assert hangup["CallerIDNum"] == "030123x" + "xxx"
        assert hangup["Note"] == "[card]"
        refused = page.ask({"Action": "Hangup", "Channel": "PJSIP/100-00000001"}, is_error)
        assert refused["data"]["Message"] == "Hangup is for the boss"
        assert "VarSet" not in str(page.messages)
        server.send(HANGUP.replace(b"Cause: 16", b"Cause: 19"))
        page.wait_for(lambda message: message["data"].get("Cause") == "19", "the missed call")
        url = f"http://127.0.0.1:{program.port}/missed/"
        wait_until(lambda: json.load(urllib.request.urlopen(url)), "the missed call on its page")
        assert json.load(urllib.request.urlopen(url)) == [["pbx", hangup["CallerIDNum"]]]
    lines = (tmp_path / "hangups.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[:2]] == [
        ["pbx", "connected"],
        ["pbx", "PJSIP/100-00000001"],
    ]


def test_faults_are_logged_as_shown(tmp_path: Path) -> None:
    write_plugins(tmp_path)
    more = f"plugins:\n- {tmp_path}/forgetful.py\n- {tmp_path}/slow.py\n"
    expected = [_timeless(line) for line in _shown("forgetful.py") + _shown("slow.py")]
    assert len(expected) >= 3
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
        Client(program.port) as page,
    ):
        server.wait_login()
        for number in range(6):
            server.send(b"Event: Ring\r\nNumber: %d\r\n\r\n" % number)
        page.wait_for(lambda message: message["data"].get("Number") == "5", "the last event")
        for line in expected:
            wait_until(lambda line=line: f"plugins: {line}\n" in log_of(program), line)


def log_of(program: Program) -> str:
    """The log, as the docs show it."""
    folder = program.file.parent
    log = program.log.replace(f"plugin {folder}/", "plugin ./")
    return _timeless(log.replace(str(folder), "/etc/amiws"))


def _shown(name: str) -> list[str]:
    """The lines that the guide shows below a plugin's box."""
    listed = boxes()
    index = next(index for index, box in enumerate(listed) if box.name == name)
    return listed[index + 1].text.splitlines()


def _timeless(text: str) -> str:
    """How long a hook was let run differs from run to run."""
    return re.sub(r"after [\d.]+ s", "after 0.05 s", text)
