"""The names of the keys in Redis."""

from __future__ import annotations

from pathlib import Path

from amiws_gevent.bus.keys import Keys

DOCS = Path(__file__).parent.parent.parent / "docs" / "redis.md"


def test_a_prefix_is_a_hash_tag() -> None:
    assert Keys("pbx").leases == b"{pbx}:leases"
    assert Keys("a{b}c").leases == b"a{b}c:leases"


def test_all_begin_with_the_prefix_and_the_docs_have_them() -> None:
    keys = Keys("{pbx}")
    named = [keys.leases, keys.members, keys.calls("LEASE"), keys.calls_bytes("LEASE")]
    named += [keys.stream("NAME"), keys.about("NAME")]
    named += [keys.answers("EDGE"), keys.answers_bytes("EDGE")]
    assert len(set(named)) == len(named)
    text = DOCS.read_text(encoding="utf-8")
    for name in named:
        assert name.startswith(b"{pbx}:")
        assert f"`{{amiws}}:{name.removeprefix(b'{pbx}:').decode()}`" in text
