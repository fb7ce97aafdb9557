from __future__ import annotations

import pytest

from amiws_gevent.ami import ActionError
from amiws_gevent.ami.login import (
    challenge_action,
    challenge_key,
    login_action,
    logoff_action,
    md5_login_action,
    ping_action,
)


def test_plain_login() -> None:
    assert login_action("admin", "s3:cret ž") == (
        "Action: Login\r\nUsername: admin\r\nSecret: s3:cret ž\r\n\r\n".encode()
    )
    assert login_action("a", "b", events="off", action_id="x-1") == (
        b"Action: Login\r\nActionID: x-1\r\nUsername: a\r\nSecret: b\r\nEvents: off\r\n\r\n"
    )


def test_md5_login_holds_no_secret() -> None:
    # md5("1234567890mysecret"), by md5sum.
    key = "1586bde220dc4c3469015a2b66a06409"
    assert challenge_key("1234567890", "mysecret") == key
    assert md5_login_action("admin", "1234567890", "mysecret", action_id="i") == (
        b"Action: Login\r\nActionID: i\r\nAuthType: MD5\r\nUsername: admin\r\nKey: "
        + key.encode()
        + b"\r\n\r\n"
    )
    assert b"mysecret" not in md5_login_action("admin", "1", "mysecret")


def test_challenge_ping_logoff() -> None:
    assert challenge_action() == b"Action: Challenge\r\nAuthType: MD5\r\n\r\n"
    assert challenge_action("c") == b"Action: Challenge\r\nActionID: c\r\nAuthType: MD5\r\n\r\n"
    assert ping_action("p") == b"Action: Ping\r\nActionID: p\r\n\r\n"
    assert logoff_action() == b"Action: Logoff\r\n\r\n"


@pytest.mark.parametrize("secret", ["hush\r\nAction: Originate", "hush\n", "hush\0", "hush" * 300])
def test_a_secret_that_cannot_be_sent_is_named_but_not_told(secret: str) -> None:
    with pytest.raises(ActionError, match="Secret") as caught:
        login_action("admin", secret)
    assert "hush" not in str(caught.value)
