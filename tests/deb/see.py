"""What a browser sees: ``python -m tests.deb.see URL`` prints how many calls the dashboard shows.

A process of its own, since it has to be in the network of a root.
"""

from __future__ import annotations

import sys
import tempfile

from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import ARGUMENTS, PATIENCE, chromium_path

ROW = ".table-body [role=row]"


def main(url: str) -> None:
    # Some process of Chromium may still write there for a moment.
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with sync_playwright() as driver, folder as profile:
        context = driver.chromium.launch_persistent_context(
            profile, executable_path=chromium_path(), headless=True, args=ARGUMENTS
        )
        page = context.new_page()
        page.goto(url)
        expect(page.locator(ROW).first).to_be_visible(timeout=3 * PATIENCE)
        print(page.locator(ROW).count())
        context.close()


if __name__ == "__main__":
    main(sys.argv[1])
