"""The list of scenarios: each has a name, a story and a test that holds it to it."""

from __future__ import annotations

from amiws_gevent.simulator.pbx.scenarios import SCENARIOS
from amiws_gevent.simulator.pbx.style import STYLE_11, STYLE_22, Style
from tests.unit import (
    test_simulator_pbx_scenarios_around,
    test_simulator_pbx_scenarios_calls,
    test_simulator_pbx_scenarios_together,
    test_simulator_pbx_scenarios_transfers,
)

THEMES = (
    test_simulator_pbx_scenarios_around,
    test_simulator_pbx_scenarios_calls,
    test_simulator_pbx_scenarios_together,
    test_simulator_pbx_scenarios_transfers,
)


def test_each_scenario_has_a_story() -> None:
    stories = {name for theme in THEMES for name in theme.CALLS}
    assert SCENARIOS.keys() - stories == {"applications"}
    for scenario in SCENARIOS.values():
        assert scenario.told
        assert scenario.play.__name__ == scenario.name


def test_an_asterisk_plays_what_it_has() -> None:
    def without(style: Style) -> set[str]:
        return {scenario.name for scenario in SCENARIOS.values() if not scenario.fits(style)}

    assert without(STYLE_11) == {"attended_transfer", "merge", "do_not_disturb"}
    assert without(STYLE_22) == {"meetme", "branch"}
