"""What a file of amiws is told of: what it has, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.config import load_settings

HOST = """\
amihosts:
- name: asterisk01.local
  host: 192.0.2.10
  username: amiws
  secret: "s3cret"
"""


def notes(folder: Path, text: str) -> list[str]:
    """The notes without the path and the place's message in front."""
    file = folder / "amiws.yaml"
    file.write_text(text)
    file.chmod(0o600)
    return [note.removeprefix(f"{file}:") for note in load_settings(file, environ={}).notes]


def test_origins_at_the_port(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, f"ws_port: 8000\n{HOST}")
    assert note.startswith("1: ws_port: pages of other web sites cannot open the WebSocket")


def test_the_login_of_the_websocket(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("anna:pbx:0123\n")
    text = f"auth_domain: pbx\nauth_file: {tmp_path}/users\n{HOST}"
    login = [note for note in notes(tmp_path, text) if "auth_file" in note]
    assert len(login) == 1
    assert login[0].startswith("2: auth_file: the WebSocket asks for the login too")


@pytest.mark.parametrize("key", ["log_facility: 128", "log_level: 7"])
def test_syslog_if_it_is_set(tmp_path: Path, key: str) -> None:
    (note,) = [note for note in notes(tmp_path, f"{key}\n{HOST}") if "log_" in note]
    assert note.startswith(f'1: {key.partition(":")[0]}: lines in syslog begin with "amiws-gevent"')
    assert not [note for note in notes(tmp_path, HOST) if "log_" in note]


@pytest.mark.parametrize(
    ("names", "further"),
    [
        ("Hangup,QueueMemberStatus", "Status"),
        ("Newchannel,Hangup", None),
        ("QueueMemberPaused", "QueueMember"),
        ("QueueMemberPaused,queuemember,queuememberpause", None),
        ("SoftHangupRequest", "HangupRequest"),
    ],
)
def test_parts_of_the_names_of_events(tmp_path: Path, names: str, further: str | None) -> None:
    found = [
        note for note in notes(tmp_path, f"{HOST}  event_names: {names}\n") if "amiws lets" in note
    ]
    if further is None:
        assert found == []
    else:
        (note,) = found
        assert note.startswith("6: amihosts[0].event_names: server 'asterisk01.local': amiws lets ")
        assert f" {further}" in note.partition("amiws lets")[2].partition(" pass too")[0]


@pytest.mark.parametrize(
    "ours",
    ["allowed_origins: https://intranet.example.org\n", "live_state: no\n", "allowed_hosts: []\n"],
)
def test_a_file_with_keys_of_ours_is_told_nothing(tmp_path: Path, ours: str) -> None:
    assert notes(tmp_path, f"ws_port: 8000\nlog_level: 7\n{ours}{HOST}") == []


def test_a_server_with_keys_of_ours_is_told_nothing(tmp_path: Path) -> None:
    assert notes(tmp_path, f"{HOST}  keepalive: 10\n  event_names: QueueMemberStatus\n") == []
