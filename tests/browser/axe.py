"""What axe-core says of a page: the rules that are broken, and the elements that break them."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.support.program import ROOT

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST = {"type": "rule", "values": ["color-contrast"]}

Violations = list[tuple[str, list[str]]]


def violations(page: Page) -> Violations:
    """Of the page as it is now, in the light theme and in the dark one, which only have other
    colours; without movements, so that no text is half there."""
    page.evaluate(AXE)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    light = _run(page, WCAG)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    return light + _run(page, CONTRAST)


def _run(page: Page, rules: object) -> Violations:
    # Its own look at style sheets puts them into the page, which the policy forbids.
    options = {"runOnly": rules, "preload": False}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        (each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]
    ]
