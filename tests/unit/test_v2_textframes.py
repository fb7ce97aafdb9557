from __future__ import annotations

from amiws_gevent.v2.textframes import TextFrames
from amiws_gevent.web.frames import deflated_frames, text_frame, text_frames


def test_a_frame_for_each_message_as_it_is() -> None:
    texts = [b'{"op":"event"}', b'{"op":"state","position":"p"}']
    assert TextFrames().encode(texts, None) == b"".join(map(text_frame, texts))
    assert TextFrames().encode(texts, "p") == b"".join(map(text_frame, texts))


def test_it_is_a_value() -> None:
    assert {TextFrames(text_frames): 1}[TextFrames()] == 1
    assert TextFrames(deflated_frames) != TextFrames()
