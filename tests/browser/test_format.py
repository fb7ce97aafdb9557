"""How the page writes numbers, durations and names of endpoints."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

CALL = """
async ([module, name, cases]) => {
  const exported = await import(module);
  return cases.map((value) => exported[name](value));
}
"""

NUMBERS = {
    "+4930123456789": "+49 301 234 567 89",
    "+14155550123": "+1 415 555 0123",
    "+33142685300": "+33 142 685 300",
    "+352261234": "+352 261 234",
    "004930123456": "00 49 301 234 56",
    "15145550179": "1 514 555 0179",
    "972300032845": "972 300 032 845",
    "5143607296": "514 360 7296",
    "0301234567": "030 123 4567",
    "201": "201",
    "116117": "116117",
    "*97": "*97",
    "sip:anna@example.org": "sip:anna@example.org",
    "": "",
}
DURATIONS = {
    0: "0:00",
    -500: "0:00",
    7999: "0:07",
    65_000: "1:05",
    754_000: "12:34",
    3_723_000: "1:02:03",
    360_000_000: "100:00:00",
}
LIST_DURATIONS = {"00:12:31": 751_000, "100:00:01": 360_001_000, "": 0, "soon": 0, "12:31": 0}
ENDPOINTS = {
    "PJSIP/201-0000002a": "201",
    "SIP/trunk-de-00000001": "trunk-de",
    "Local/301@default-00000001;2": "301",
    "Local/301@default": "301",
    "Local/3001@sim/n": "3001",
    "Local/3001@sim-00000001;1/n": "3001",
    "PJSIP/trunk/4930123": "4930123",
    "DAHDI/i1/4930123-1": "4930123",
    "PJSIP/201": "201",
    "": "",
    "nonsense": "",
}


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        ("/format.js", "phoneNumber", NUMBERS),
        ("/format.js", "duration", DURATIONS),
        ("/format.js", "parseDuration", LIST_DURATIONS),
        ("/channels.js", "endpointOf", ENDPOINTS),
    ],
)
def test_values(page: Page, origin: str, module: str, name: str, expected: dict[str, str]) -> None:
    page.goto(f"{origin}style.css")
    values = page.evaluate(CALL, [module, name, list(expected)])
    assert dict(zip(expected, values, strict=True)) == expected
