from __future__ import annotations

import pytest

from amiws_gevent.state.applications import DIALLING, told


@pytest.mark.parametrize("application", ["AppDial", "Wait", "PickupChan", "Dial", None])
def test_what_leads_a_call_on_is_no_state(application: str | None) -> None:
    assert told(application) is None


def test_what_somebody_listens_to_is_one() -> None:
    assert told("Playback") == "Playback"
    assert {told(application) for application in DIALLING} == {None}
