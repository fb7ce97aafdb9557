"""Both signatures of a delivery, against values that were made elsewhere."""

from __future__ import annotations

import pytest
from amiws_plugins.webhook.signing import Key

BODY = b'{"test": 2432232314}'


def test_ours_is_hmac_sha256_over_time_and_body() -> None:
    # Made with: printf '%s' '1767225600.{}' | openssl dgst -sha256 -hmac key
    assert Key(b"key").signature("1767225600", b"{}") == (
        "sha256=df344de429b8ee672e1863e0008fdbd0080000536fbccdf0e4f89846acbbe872"
    )


def test_a_key_of_standard_webhooks_is_text_like_any_other_in_ours() -> None:
    # Made with: printf '%s' '1767225600.{}' | openssl dgst -sha256 -hmac whsec_a2V5
    assert Key(b"whsec_a2V5").signature("1767225600", b"{}") == (
        "sha256=e165e91e625594e39bbc1dbf5830b2d21eb29a74ba16903dedb9e6f5d21c1648"
    )


def test_the_standard_one_is_that_of_its_specification() -> None:
    key = Key(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert key.standard_signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", BODY) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_another_key_signs_with_its_bytes() -> None:
    # Made with: printf '%s' 'id-1.1767225600.{}' | openssl dgst -sha256 -hmac key -binary | base64
    expected = "v1,753gJp0uw1ycTxe8v4U27W//gR2duEF21pSqM0YQcio="
    assert Key(b"key").standard_signature("id-1", "1767225600", b"{}") == expected
    assert Key(b"whsec_a2V5").standard_signature("id-1", "1767225600", b"{}") == expected


@pytest.mark.parametrize(
    "rest", [b"", b"s3cret!", b"a2V", b"a2V5\n", b" a2V5", b"a-_5", "é".encode()]
)
def test_a_key_that_says_it_is_base64_and_is_not(rest: bytes) -> None:
    with pytest.raises(ValueError, match=r"must have base64 after whsec_") as caught:
        Key(b"whsec_" + rest)
    assert "s3cret" not in str(caught.value)


def test_its_texts_are_what_a_receiver_may_echo() -> None:
    assert Key(b"key").texts() == ["key"]
    assert Key(b"whsec_a2V5").texts() == ["whsec_a2V5", "a2V5"]
    assert Key(b"\xff").texts() == ["\ufffd"]
    assert "whsec_" not in repr(Key(b"whsec_a2V5"))
