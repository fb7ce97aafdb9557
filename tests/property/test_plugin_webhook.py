"""The webhook's queue under any sequence of events: bounded, in order, every loss accounted for."""

from __future__ import annotations

import json

from amiws_plugins.webhook.answer import Answer, excerpt
from amiws_plugins.webhook.circuit import Circuit, State
from amiws_plugins.webhook.outbox import Outbox
from hypothesis import given
from hypothesis import strategies as st

from tests.support.webhook import Bounds, Policy

BOUNDS = st.builds(
    lambda batch, size, queue, room: Bounds(batch, size, 2 * batch + queue, 2 * size + room, 1.0),
    st.integers(1, 5),
    st.integers(1, 100),
    st.integers(0, 10),
    st.integers(0, 200),
)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 150)),
        st.tuples(st.sampled_from(["take", "delivered", "failed", "refused"]), st.just(0)),
    ),
    max_size=120,
)


@given(BOUNDS, STEPS)
def test_what_goes_in_comes_out_in_order_or_is_counted(
    bounds: Bounds, steps: list[tuple[str, int]]
) -> None:
    outbox = Outbox(bounds, lambda: 0.0)
    put = 0
    got: list[int] = []
    reported = 0
    on_the_wire = None
    for step, size in steps:
        if step == "put":
            outbox.put(b'{"n":%d,"x":"%b"}' % (put, b"x" * size))
            put += 1
        elif step == "take" and on_the_wire is None and outbox.due_in() is not None:
            on_the_wire = outbox.take()
            assert 1 <= len(on_the_wire.messages) <= bounds.batch_messages
            assert on_the_wire.size <= bounds.batch_bytes or len(on_the_wire.messages) == 1
        elif on_the_wire is not None and step in ("delivered", "failed", "refused"):
            getattr(outbox, step)()
            if step == "delivered":
                body = json.loads(on_the_wire.body())
                got += [message["n"] for message in body["messages"]]
                reported += body["lost"]
            on_the_wire = None
        assert len(outbox) <= bounds.queue_messages
        assert outbox.size <= bounds.queue_bytes
        assert len(got) + reported + outbox.lost + len(outbox) == put
    assert got == sorted(set(got))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1, exclude_max=True)), max_size=60))
def test_the_circuit_never_waits_past_its_bounds(attempts: list[tuple[bool, float]]) -> None:
    now = [0.0]
    chance = [0.0]
    circuit = Circuit(Policy(3, 1.0, 8.0, 10.0, 70.0), lambda: now[0], lambda: chance[0])
    row = 0
    for good, drawn in attempts:
        chance[0] = drawn
        now[0] += circuit.wait()
        circuit.begin()
        assert circuit.state is not State.OPEN
        if good:
            circuit.succeeded()
            row = 0
        else:
            circuit.failed(0.0)
            row += 1
        assert (circuit.state is State.OPEN) == (row >= 3)
        assert circuit.wait() <= (70.0 if row >= 3 else 8.0) + 1e-6
        assert row < 3 or circuit.wait() >= 10.0 - 1e-6


@given(
    st.binary(max_size=5000) | st.text().map(str.encode),
    st.lists(st.text(min_size=1, max_size=20), max_size=4),
)
def test_an_excerpt_is_one_short_line_without_a_secret(body: bytes, hidden: list[str]) -> None:
    shown = excerpt(body, hidden)
    assert len(shown) <= 200
    assert shown.isprintable()
    for secret in hidden:
        if len(secret) > 3 and secret.isascii() and secret.isprintable() and "*" not in secret:
            assert secret not in shown or " " in secret


@given(st.text(max_size=60))
def test_any_retry_after_is_a_bounded_number(text: str) -> None:
    assert 0 <= Answer(503, retry_after=text).pause(1767225600.0) <= 300
