"""The documentation as a site (make docs): its navigation, its links, its lists."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.support.program import ROOT
from tests.support.scripts import script

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    return script("docs_hook")


def leaves(entry: Any) -> Iterator[str]:
    """The pages that a part of the navigation names."""
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from leaves(part)


def test_every_page_is_in_the_navigation_once(hook: ModuleType) -> None:
    nav = list(leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    pages |= {name for name in hook.outside() if name.endswith(".md") and "/" not in name}
    assert sorted(nav) == sorted(pages), "mkdocs.yml: nav has each page once"


def test_what_is_linked_to_comes_along(hook: ModuleType) -> None:
    found = hook.outside()
    assert {"README.md", "LICENSE", "etc/amiws.yaml", "etc/systemd/amiws-gevent.service"} <= {
        *found
    }
    assert not [name for name in found if name.startswith("docs/") or ".." in name]


def test_folders_get_a_page(hook: ModuleType) -> None:
    page = "# contrib/init.d\n\n- [amiws-gevent](amiws-gevent)\n"
    assert hook.listing(ROOT / "contrib" / "init.d") == page


@pytest.mark.parametrize(
    ("page", "link", "wanted"),
    [
        ("README.md", "docs/roles.md#a-role", "roles.md#a-role"),
        ("README.md", "docs/plugins/mask.md", "plugins/mask.md"),
        ("README.md", "etc/amiws.yaml", "etc/amiws.yaml"),
        ("roles.md", "../README.md#security", "README.md#security"),
        ("roles.md", "../contrib/init.d", "contrib/init.d/index.md"),
        ("roles.md", "state.md", "state.md"),
        ("roles.md", "#a-role", "#a-role"),
        ("plugins/mask.md", "../plugins.md", "../plugins.md"),
        ("plugins/mask.md", "../../etc/amiws.yaml", "../etc/amiws.yaml"),
        ("examples/plugin_template/README.md", "../../docs/plugins.md", "../../plugins.md"),
        ("roles.md", "https://example.org/docs/", "https://example.org/docs/"),
    ],
)
def test_links(hook: ModuleType, page: str, link: str, wanted: str) -> None:
    assert hook.for_site(link, page) == wanted


def test_code_is_left_alone(hook: ModuleType) -> None:
    text = "[a](b) `[a](b)` [`c`](d)\n```\n[a](b)\n```\n![a](e.png)\n"
    wanted = "[a](B) `[a](b)` [`c`](D)\n```\n[a](b)\n```\n![a](E.PNG)\n"
    assert hook.rewritten(text, str.upper) == wanted


def test_lists_are_as_the_markdown_of_python_wants_them(hook: ModuleType) -> None:
    text = "- a\n  b\n- c\n\n  ```\n  d\n  ```\n- e\n\n1. f\n\n   g\n\nh\n```\n- i\n  j\n```\n"
    wanted = (
        "- a\n    b\n- c\n\n    ```\n    d\n    ```\n\n- e\n\n1. f\n\n    g\n\nh\n"
        "```\n- i\n  j\n```\n"
    )
    assert hook.indented(text) == wanted


def test_what_comes_from_other_hosts_is_found(hook: ModuleType) -> None:
    page = (
        '<a href="https://a.example/">a</a> <script src="https://b.example/b.js"></script>'
        '<link rel="stylesheet" href=//c.example/c.css> <img alt="" src="images/d.png">'
    )
    assert hook.foreign(page) == ["https://b.example/b.js", "//c.example/c.css"]
