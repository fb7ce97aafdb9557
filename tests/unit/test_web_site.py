"""What connections of a listener share: which queue a slow client gets."""

from __future__ import annotations

from amiws_gevent.config import Limits
from amiws_gevent.web.backlog import Backlog, LossyBacklog
from amiws_gevent.web.site import CLOSE, DROP, Site
from tests.support.clock import Clock


def test_the_queue_of_a_slow_client() -> None:
    site = Site(lambda *_: [], None, Limits(), Clock())  # type: ignore[arg-type]
    assert isinstance(site.source_of(CLOSE, "anna")(), Backlog)
    lossy = site.source_of(DROP, "anna")()
    assert isinstance(lossy, LossyBacklog)
    assert lossy.losses is site.losses
