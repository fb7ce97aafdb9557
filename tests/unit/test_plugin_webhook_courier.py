"""One batch on its way: headers, signature, time; and what is kept out of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent
import pytest
from amiws_plugins.webhook.answer import Answer
from amiws_plugins.webhook.courier import Courier
from amiws_plugins.webhook.outbox import Batch, Outbox
from amiws_plugins.webhook.settings import Settings
from amiws_plugins.webhook.signing import Key
from gevent.monkey import get_original

from amiws_gevent.plugins.kit import ClientContext
from tests.support.greenlets import until
from tests.support.http_receiver import Receiver
from tests.support.webhook import Bounds

NOW = 1767225600.75

this_thread = get_original("_thread", "get_ident")

BATCH = Batch((b'{"a":1}', b'{"b":2}'), 16, 3, "id-1")


def make(target: Receiver | None = None, **given: Any) -> Courier:
    url = target.url if target else "http://127.0.0.1"
    return Courier(Settings.model_validate({"url": url, **given}), lambda: NOW)


def receiver() -> Receiver:
    return Receiver(sleep=gevent.sleep)


def test_what_a_receiver_gets() -> None:
    with receiver() as target:
        make(target, secret="key", headers={"X-Site": "north"}).deliver(BATCH)
        (request,) = target.requests
    assert request.body == b'{"messages":[{"a":1},{"b":2}],"lost":3}'
    assert request.get("Content-Type") == "application/json"
    assert request.get("User-Agent") == "amiws-gevent"
    assert request.get("X-Site") == "north"
    assert request.get("X-Amiws-Delivery") == "id-1"
    assert request.get("X-Amiws-Timestamp") == "1767225600"
    assert request.get("X-Amiws-Signature") == Key(b"key").signature("1767225600", request.body)
    assert request.get("webhook-id") == "id-1"
    assert request.get("webhook-timestamp") == "1767225600"
    signed = Key(b"key").standard_signature("id-1", "1767225600", request.body)
    assert request.get("webhook-signature") == signed


def test_a_repeat_has_the_same_id_and_body_but_a_new_time_and_signature() -> None:
    times = iter((NOW, NOW + 60))
    outbox = Outbox(Bounds(2, 1000, 10, 1000, batch_delay=0))
    outbox.put(b'{"a":1}')
    with receiver() as target:
        settings = Settings.model_validate({"url": target.url, "secret": "key"})
        courier = Courier(settings, lambda: next(times))
        courier.deliver(outbox.take())
        outbox.failed()
        outbox.put(b'{"b":2}')
        courier.deliver(outbox.take())
        first, second = target.requests
    assert first.body == second.body
    assert first.get("webhook-id") == second.get("webhook-id") != ""
    assert first.get("webhook-id") == first.get("X-Amiws-Delivery")
    assert int(second.get("webhook-timestamp")) == int(first.get("webhook-timestamp")) + 60
    assert first.get("webhook-signature") != second.get("webhook-signature")


def test_it_lets_go_of_its_connection() -> None:
    with receiver() as target:
        courier = make(target)
        courier.deliver(BATCH)
        assert target.open_connections == 1
        courier.close()
        until(lambda: not target.open_connections)


def test_without_a_key_nothing_is_signed() -> None:
    with receiver() as target:
        make(target).deliver(BATCH)
        for name in ("X-Amiws-Signature", "webhook-id", "webhook-timestamp", "webhook-signature"):
            assert not target.requests[0].has(name)
        assert target.requests[0].has("X-Amiws-Timestamp")


def test_the_operators_headers_replace_ours() -> None:
    with receiver() as target:
        make(target, headers={"content-type": "text/json", "USER-AGENT": "me"}).deliver(BATCH)
        assert target.requests[0].get("Content-Type") == "text/json"
        assert target.requests[0].get("User-Agent") == "me"


def test_the_login_of_the_url_goes_into_authorization() -> None:
    with receiver() as target:
        url = target.url.replace("http://", "http://user:pass@")
        make(target, url=url).deliver(BATCH)
        assert target.requests[0].get("Authorization") == "Basic dXNlcjpwYXNz"
        assert "pass" not in target.requests[0].line


def test_an_answer_is_described_without_any_secret(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("whsec_k3yk\n")
    courier = make(
        url="http://user:passw0rd@h/hook-t0ken-1?x=t0ken-2345",
        headers={"X-Auth": "Bearer t0ken-3"},
        secret_file=str(key),
    )
    echoed = (
        b"/hook-t0ken-1?x=t0ken-2345 t0ken-2345 Bearer t0ken-3 t0ken-3 "
        b"user:passw0rd passw0rd Basic dXNlcjpwYXNzdzByZA== dXNlcjpwYXNzdzByZA== whsec_k3yk k3yk"
    )
    shown = courier.describe(Answer(400, body=echoed))
    assert shown == '400: "*** *** *** *** *** *** *** *** *** ***"'


def test_retry_after_counts_from_now() -> None:
    assert make().pause(Answer(429, "Thu, 01 Jan 2026 00:00:10 GMT")) == 9.25


def test_the_event_loop_goes_on_while_authorities_are_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = []
    monkeypatch.setattr(
        ClientContext, "load_default_certs", lambda self, use: threads.append(this_thread())
    )
    settings = Settings.model_validate({"url": "https://127.0.0.1"})
    assert threads == [], "that of the system need no check"
    Courier(settings).renew()
    assert len(threads) == 2
    assert this_thread() not in threads


def test_a_renewed_key_signs_from_then_on(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("old")
    with receiver() as target:
        courier = make(target, secret_file=str(key))
        courier.deliver(BATCH)
        key.write_text("new")
        courier.renew()
        until(lambda: not target.open_connections)
        courier.deliver(BATCH)
        old, new = (request.get("X-Amiws-Signature") for request in target.requests)
        body = target.requests[0].body
    assert old == Key(b"old").signature("1767225600", body)
    assert new == Key(b"new").signature("1767225600", body)


@pytest.mark.parametrize(
    ("written", "told"), [(None, "No such file"), ("whsec_?", "must have base64 after whsec_")]
)
def test_a_renewal_that_fails_changes_nothing(
    tmp_path: Path, written: str | None, told: str
) -> None:
    key = tmp_path / "key"
    key.write_text("old")
    with receiver() as target:
        courier = make(target, secret_file=str(key))
        key.unlink()
        if written is not None:
            key.write_text(written)
        with pytest.raises(ValueError, match=told):
            courier.renew()
        courier.deliver(BATCH)
        body = target.requests[0].body
        expected = Key(b"old").signature("1767225600", body)
        assert target.requests[0].get("X-Amiws-Signature") == expected
