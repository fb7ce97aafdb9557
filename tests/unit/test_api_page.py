"""The reference page: all of the document, and nothing of another host."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from amiws_gevent.api.openapi import document
from amiws_gevent.api.page import POLICY, page
from amiws_gevent.api.problems import CODES

PAGE = page(document())


class Tags(HTMLParser):
    """Notes what is there, and that each element ends."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(PAGE)
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        given = dict(attributes)
        self.ids += [given["id"]] if given.get("id") else []  # type: ignore[list-item]
        self.links += [given["href"]] if given.get("href") else []  # type: ignore[list-item]
        assert "style" not in given
        assert not any(name.startswith("on") for name in given)
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_it_needs_no_script_and_no_other_host() -> None:
    tags = Tags()
    assert not tags.names & {"script", "img", "link", "iframe", "form", "object", "base"}
    assert "http://" not in PAGE
    assert "https://" not in PAGE
    assert "url(" not in PAGE
    assert "@import" not in PAGE


def test_its_style_is_the_one_that_its_policy_allows() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", PAGE, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert POLICY.startswith("default-src 'none'; ")


def test_links_within_the_page_lead_somewhere() -> None:
    tags = Tags()
    assert len(set(tags.ids)) == len(tags.ids)
    inner = {link[1:] for link in tags.links if link.startswith("#")}
    assert inner <= set(tags.ids)
    assert [link for link in tags.links if not link.startswith("#")] == ["openapi.json"]


def test_it_tells_of_all_operations_parameters_and_codes() -> None:
    tags = Tags()
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            assert f"<code>{method.upper()} {path}</code>" in PAGE
            assert operation["operationId"] in tags.ids
            for parameter in operation.get("parameters", ()):
                assert f"<code>{parameter['name']}</code>" in PAGE
    assert set(CODES) <= set(tags.ids)


def test_what_is_in_the_document_is_text() -> None:
    given = document()
    given["info"]["description"] = "<script>x</script> `<b>` [word](javascript:x)"
    made = page(given)
    assert "<script" not in made
    assert "&lt;script&gt;x&lt;/script&gt; <code>&lt;b&gt;</code> word" in made
    assert "javascript" not in made
