"""What ``--check --connect`` finds out of real connections."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from amiws_gevent.config import Settings
from amiws_gevent.live import check
from amiws_gevent.live.check import Report, check_servers, lines_of
from amiws_gevent.live.permissions import Missing
from amiws_gevent.live.synchroniser import Pace
from tests.support.ami_server import AmiServer, Connection, Packet, answer
from tests.support.hosts import ami_host
from tests.support.listing import Lists, channel, silent


def at(ami: AmiServer, roles: Any = None, *, redis: Any = None, **more: Any) -> Report:
    host = ami_host(port=ami.port, username="amiws", secret=SecretStr("s3cret"), **more)
    [report] = check_servers(Settings(amihosts=(host,), roles=roles, redis=redis))
    return report


REDIS = {"url": "unix:///run/redis.sock"}


@pytest.mark.parametrize("login", ["md5", "plain"])
def test_a_server_that_lets_a_user_in_once_only(ami: AmiServer, login: str) -> None:
    ami.on_action, ami.multiple = Lists(), False
    assert not at(ami, login=login).second
    report = at(ami, login=login, redis=REDIS)
    assert report.alone
    assert not report.problem
    lines = lines_of(report)
    assert "  only one session of amiws is let in: another collector could not take over while" in (
        lines
    )
    assert lines[-1] == "    allowmultiplelogin = yes"
    assert "under [general], and under [amiws]" in lines[-2]


def test_a_server_that_lets_a_user_in_twice(ami: AmiServer) -> None:
    ami.on_action = Lists()
    report = at(ami, redis=REDIS)
    assert (report.second, report.alone) == ("", False)
    first, second = ami.connections
    assert first.packets[-1].action == second.packets[-1].action == "Logoff"


def test_a_second_login_that_fails_for_another_reason(ami: AmiServer) -> None:
    ami.on_action = lists = Lists()

    def refuses_from_now_on(connection: Connection, packet: Packet) -> bytes:
        ami.login = "refuse"
        return answer(packet, "Message: done")

    lists.special["CoreStatus"] = refuses_from_now_on
    report = at(ami, redis=REDIS)
    assert not report.alone
    assert lines_of(report)[-1] == (
        "  a second login, as that of another collector, failed: the login was refused: "
        "'Authentication failed'"
    )


def test_what_works_and_what_is_missing(ami: AmiServer) -> None:
    ami.on_action = lists = Lists()
    lists.items["CoreShowChannels"] = [channel(1), channel(2)]
    report = at(ami)
    assert (report.problem, report.banner) == ("", "Asterisk Call Manager/11.0.0")
    assert report.counts["CoreShowChannels"] == 2
    assert not report.lacks_class
    assert "agent" in {each.kind for each in report.missing}
    assert ami.connections[0].packets[-1].action == "Logoff"
    lines = lines_of(report)
    assert lines[0] == "pbx: logged in to Asterisk Call Manager/11.0.0"
    assert "  CoreShowChannels: 2" in lines


def test_a_class_that_lacks_has_its_line(ami: AmiServer) -> None:
    ami.on_action = Lists(("QueueStatus", "CoreStatus", "Getvar", "CoreShowChannels"))
    report = at(ami)
    assert report.lacks_class
    lines = lines_of(report)
    assert lines[-2:] == [
        "  add to [amiws] in manager.conf, to what is there:",
        "    write = call,agent,system",
    ]
    assert "  no endpoint, contact: needs the class system" in lines


def test_what_roles_allow_and_the_user_may_not_send(ami: AmiServer) -> None:
    ami.on_action = Lists(("QueueStatus", "CoreStatus"))
    report = at(ami, {"agent": {"do": ["QueueStatus", "Agents", "ParkedCalls"]}})
    told = "roles allow what this user may not send: Agents (write = agent), ParkedCalls ("
    assert told in "\n".join(lines_of(report))
    assert not at(ami).lacking


def test_a_wrong_password(ami: AmiServer) -> None:
    ami.login = "refuse"
    report = at(ami)
    problem, meaning = lines_of(report)
    assert problem == "pbx: the login was refused: 'Authentication failed'"
    assert "permit, deny or acl" in meaning


def test_nobody_is_there() -> None:
    host = ami_host(port=1)
    [report] = check_servers(Settings(amihosts=(host,)))
    assert "refused" in report.problem.lower()
    assert "manager.conf" in report.meaning


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_server_that_ends_the_connection_at_once(ami: AmiServer, how: str) -> None:
    ami.banner = None
    ami.script = lambda connection: getattr(connection, how)()
    problem, meaning = lines_of(at(ami))
    # A reset may come so early that connecting itself fails.
    assert "by the server" in problem or (how == "reset" and "reset by peer" in problem)
    assert "a firewall or proxy on the way" in meaning
    assert ("a port of TLS" in meaning) is (how == "reset")


def test_tls_to_a_port_that_speaks_none(ami: AmiServer) -> None:
    report = at(ami, ssl=True, ssl_verify=False)
    assert "the port speaks no TLS" in report.meaning, report.problem


def test_a_server_that_says_nothing_is_not_waited_for_long(ami: AmiServer) -> None:
    ami.banner = None
    report = at(ami, connect_timeout=0.2)
    assert "no banner within 0.2 s" in report.problem


def test_a_server_that_answers_no_list(ami: AmiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_PACE", Pace(answer=0.1))
    ami.on_action = lists = Lists()
    lists.special["QueueStatus"] = silent
    report = at(ami)
    assert report.problem == "QueueStatus: no whole answer within 0.1 s"
    assert report.counts["CoreStatus"] == 1
    assert "  QueueStatus: no whole answer within 0.1 s" in lines_of(report)


def test_all_together_take_no_longer_than_their_limit(
    ami: AmiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "WHOLE_TIME", 0.2)
    ami.on_action = lists = Lists()
    lists.special["QueueStatus"] = silent
    assert at(ami).problem == "not all was answered within 0.2 s"


def test_a_connection_that_ends_meanwhile(ami: AmiServer) -> None:
    ami.on_action = lists = Lists()
    lists.special["QueueStatus"] = lambda connection, packet: connection.close()  # type: ignore[func-returns-value]
    assert "ended before the answer was complete" in at(ami).problem


def test_kinds_with_one_reason_share_a_line() -> None:
    report = Report(ami_host(), banner="Asterisk Call Manager/11.0.0")
    report.missing = [
        Missing("peer", "the module chan_sip", None),
        Missing("registration", "the module chan_sip", None),
        Missing("conference", "the class reporting, or x", "write = reporting", certain=False),
    ]
    assert lines_of(report)[1:] == [
        "  no peer, registration: needs the module chan_sip",
        "  no conference: needs the class reporting, or x",
    ]
