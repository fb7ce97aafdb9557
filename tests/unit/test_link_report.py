from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from gevent import socket as gsocket

from amiws_gevent.config import AmiHost
from amiws_gevent.link.dial import Dialled
from amiws_gevent.link.report import Report
from tests.support.clock import Clock

HOST = AmiHost.model_validate(
    {"id": 1, "name": "pbx", "host": "192.0.2.1", "username": "amiws", "secret": "s3cret"}
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def report(clock: Clock, caplog: pytest.LogCaptureFixture) -> Report:
    caplog.set_level(logging.DEBUG)
    return Report("pbx (192.0.2.1:5038)", HOST, 15.0, clock)


@pytest.fixture
def sock() -> Iterator[gsocket.socket]:
    with gsocket.socket() as made:
        yield made


def levels(caplog: pytest.LogCaptureFixture) -> list[int]:
    return [record.levelno for record in caplog.records]


def test_a_first_connection(
    report: Report, caplog: pytest.LogCaptureFixture, sock: gsocket.socket
) -> None:
    report.dialled(Dialled(sock, "192.0.2.1:5038", "AB:CD"), unverified=False)
    report.connected("Asterisk Call Manager/11.0.0")
    (line,) = caplog.messages
    assert line == (
        "pbx (192.0.2.1:5038): connected to 192.0.2.1:5038, TLS as user amiws: "
        "Asterisk Call Manager/11.0.0"
    )
    assert levels(caplog) == [logging.INFO]
    assert report.up


def test_a_loss_and_its_end(
    report: Report, caplog: pytest.LogCaptureFixture, sock: gsocket.socket, clock: Clock
) -> None:
    report.dialled(Dialled(sock, "192.0.2.1:5038"), unverified=False)
    report.connected("A/1")
    report.lost("closed by the server", 1.25)
    assert not report.up
    clock.now += 7
    report.connected("A/1")
    assert caplog.messages[1:] == [
        "pbx (192.0.2.1:5038): connection lost: closed by the server; next attempt in 1.2 s",
        "pbx (192.0.2.1:5038): connected to 192.0.2.1:5038 as user amiws: A/1, after 7 s",
    ]


def test_a_reason_is_told_once_a_downtime(report: Report, caplog: pytest.LogCaptureFixture) -> None:
    for reason in ("refused", "refused", "unreachable", "refused"):
        report.failed(reason, "", 1)
    assert levels(caplog) == [logging.INFO, logging.DEBUG, logging.INFO, logging.DEBUG]
    report.connected("A/1")
    report.failed("refused", "", 1)
    assert levels(caplog)[-1] == logging.INFO


def test_reasons_that_differ_each_time_do_not_fill_the_log(
    report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1000):
        report.failed(f"odd answer {number}", "", 1)
    assert levels(caplog).count(logging.INFO) < 20


def test_staying_down_is_warned_of_once_a_downtime(
    report: Report, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    for _ in range(2):
        for _ in range(6):
            report.failed("refused", "", 4)
            clock.now += 4
        report.connected("A/1")
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert (
        warnings
        == ["pbx (192.0.2.1:5038): still not connected after 16 s and 5 attempts: refused"] * 2
    )


def test_advice_is_a_warning_told_once(report: Report, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        report.failed("certificate", "set ssl_fingerprint", 1)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["pbx (192.0.2.1:5038): certificate: set ssl_fingerprint"]


def test_a_refusal_is_an_error_told_once_until_it_changes(
    report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    for answer in ("'failed'", "'failed'", "'denied'"):
        report.refused(answer, 30)
    assert levels(caplog) == [logging.ERROR, logging.DEBUG, logging.ERROR]
    assert caplog.messages[0] == (
        "pbx (192.0.2.1:5038): the server refused the login of user 'amiws': 'failed'; check "
        "username and secret here against its manager.conf, and permit, deny and acl there; "
        "next attempt in 30 s"
    )


def test_unverified_tls_is_warned_of_once(
    report: Report, caplog: pytest.LogCaptureFixture, sock: gsocket.socket
) -> None:
    for _ in range(2):
        report.dialled(Dialled(sock, "192.0.2.1:5039", "AB:CD"), unverified=True)
    assert levels(caplog) == [logging.WARNING]
    assert caplog.messages[0].endswith('set ssl_fingerprint: "AB:CD"')


def test_a_stop_is_told_only_of_a_connection(
    report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    report.stopped()
    report.connected("A/1")
    report.stopped()
    report.stopped()
    assert [line.split(": ")[1] for line in caplog.messages[1:]] == ["connection closed"]


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        ("'Authentication failed'", "check username and secret here against its manager.conf"),
        ("'Login Already In Use'", "allowmultiplelogin = no in its manager.conf permits one only"),
    ],
)
def test_a_refused_login_says_what_to_look_at(
    report: Report, caplog: pytest.LogCaptureFixture, answer: str, advice: str
) -> None:
    report.refused(answer, 30.0)
    (line,) = caplog.messages
    assert answer in line
    assert advice in line
