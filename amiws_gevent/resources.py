"""Finds the files that come with the program."""

from __future__ import annotations

from pathlib import Path

# setup.py lays web_root/ beside the package under the first name; in a
# checkout, and so in an editable installation, it still has its own.
_DASHBOARD_NAMES = ("amiws_web_root", "web_root")


def dashboard_root(beside: Path = Path(__file__).parent) -> Path:
    """The folder of the dashboard that is installed with the package.

    ``beside`` is the package's own folder. Raises FileNotFoundError when
    neither place has an ``index.html``.
    """
    places = [beside.resolve().parent / name for name in _DASHBOARD_NAMES]
    for place in places:
        if (place / "index.html").is_file():
            return place
    raise FileNotFoundError(
        "the dashboard was not installed with amiws-gevent: there is no index.html in "
        + " or ".join(map(str, places))
    )
