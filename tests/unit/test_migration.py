"""Pages as people have them for amiws: what is told of each, and where nothing is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent import migration
from amiws_gevent.api.operations import PREFIX
from amiws_gevent.config import Settings
from amiws_gevent.migration import page_notes

ROOT = Path(__file__).parent.parent.parent
HOST = {"name": "pbx", "host": "127.0.0.1", "username": "u", "secret": "s"}

# As the pages that came with amiws: jQuery from elsewhere, the address made of the page's own.
AMIWS_PAGE = """\
<!DOCTYPE html>
<html><head><title>AMI</title>
<script src="https://code.jquery.com/jquery-1.11.3.min.js"></script>
<script type="text/javascript">
  // var ws = new WebSocket("ws://192.0.2.1:8000/");
  /* old: ws://localhost:8000 */
  var ws = new WebSocket("ws://" + window.location.host);
  ws.onmessage = function(evt) {
    var msg = JSON.parse(evt.data);
    if (msg.data.Event.indexOf("Hangup") >= 0) { $("#log").prepend(msg.data.Channel); }
  };
  $("#ping").click(function() { ws.send(JSON.stringify({Action: "Ping"})); });
</script></head>
<body>See http://example.com/ and "ws://nothing:8000/" here.</body></html>
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "www"
    root.mkdir()
    return root


def settings(root: Path, **more: Any) -> Settings:
    return Settings.model_validate({"amihosts": [HOST], "web_root": root, **more})


def notes(root: Path, *, tls: bool = False, **more: Any) -> list[str]:
    """What is told, without the folder."""
    made = settings(root, **more)
    if tls:
        made = made.model_copy(update={"ssl_cert": Path("cert.pem"), "ssl_key": Path("key.pem")})
    return [note.removeprefix(f"{root}/") for note in page_notes(made)]


def page(root: Path, *lines: str, name: str = "index.html") -> None:
    """A page with these lines in its script, from line 3 on."""
    text = "\n".join(["<!doctype html>", "<script>", *lines, "</script>"])
    (root / name).write_text(text)


def test_the_page_of_amiws_goes_on_without_tls(root: Path) -> None:
    (root / "index.html").write_text(AMIWS_PAGE)
    assert notes(root) == []


def test_the_page_of_amiws_has_one_line_to_be_changed_for_tls(root: Path) -> None:
    (root / "index.html").write_text(AMIWS_PAGE)
    (note,) = notes(root, tls=True)
    assert note.startswith("index.html:7: opens ws:// from a page that comes by https")


class TestAddresses:
    @pytest.mark.parametrize(
        "line",
        [
            'new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host)',
            "new WebSocket(`ws${ssl ? 's' : ''}://${location.host}/ws`)",
            'new WebSocket(location.origin.replace(/^http/, "ws"))',
            'var u = "ws://" + h; if (location.protocol == "https:") u = "wss://" + h;',
            'new JsSIP.WebSocketInterface("wss://pbx.example.com:8089/ws")',
        ],
    )
    def test_who_has_thought_of_tls(self, root: Path, line: str) -> None:
        page(root, line)
        assert notes(root, tls=True) == []

    def test_the_wss_of_another_program_is_no_thought_of_tls(self, root: Path) -> None:
        """A softphone in the page, which browsers allow by wss alone."""
        phone = 'new JsSIP.WebSocketInterface("wss://pbx.example.com:8089/ws");'
        page(root, phone, 'var ws = new WebSocket("ws://" + location.host);')
        (note,) = notes(root, tls=True)
        assert note.startswith("index.html:4: opens ws://")
        page(root, 'u = tls ? "wss://pbx.example.com:8000/" : "ws://pbx.example.com:8000/";')
        assert not [note for note in notes(root, tls=True) if "opens ws://" in note]

    @pytest.mark.parametrize(
        "line",
        [
            'var ws = new WebSocket("ws://pbx.example.com:8000/");',
            "var url = 'ws://192.0.2.7:8000';",
            "const ws = new WebSocket(`ws://pbx.example.com:8000/`)",
            'x("ws://[2001:db8::1]:8000/")',
        ],
    )
    def test_an_address_of_ours_that_is_fixed(self, root: Path, line: str) -> None:
        page(root, "", line)
        (note,) = notes(root)
        assert note.startswith("index.html:4: names the server: the WebSocket is refused if")
        assert notes(root, allowed_origins="https://intranet.example.org") == []
        (note,) = notes(root, tls=True)
        assert note.startswith("index.html:4: opens ws://")

    @pytest.mark.parametrize(
        "line",
        [
            'new WebSocket("ws://pbx.example.com:8088/ws")',
            'new WebSocket("wss://pbx.example.com/ws")',
            'new WebSocket("ws://" + host + ":8000")',
            "new WebSocket(`ws://${location.host}/`)",
        ],
    )
    def test_what_may_be_another_program_or_is_not_known(self, root: Path, line: str) -> None:
        page(root, line)
        assert notes(root) == []

    def test_the_port_of_the_scheme(self, root: Path) -> None:
        page(root, 'new WebSocket("ws://pbx.example.com/")')
        assert notes(root) == []
        (note,) = notes(root, ws_port=80)
        assert "http://pbx.example.com:80/" in note


class TestMessages:
    @pytest.mark.parametrize(
        "line",
        [
            'ws.onmessage = function(evt) { if (evt.data.indexOf("Hangup") > 0) ring(); };',
            "ws.onmessage = (e) => { if (e.data.includes('\"type\": 3')) ring(); };",
            'ws.addEventListener("message", m => /Event":"Hangup/.test(m.data) && ring());',
            "ws.onmessage = async function on(evt) { const found = evt.data.match(/x/); };",
        ],
    )
    def test_a_search_in_the_text(self, root: Path, line: str) -> None:
        page(root, line)
        (note,) = notes(root)
        assert note.startswith("index.html:3: searches the text of a message")

    @pytest.mark.parametrize(
        "line",
        [
            'ws.onmessage = function(evt) { var d = JSON.parse(evt.data); d.data.indexOf("x"); };',
            "ws.onmessage = function(evt) { show(evt.data); }; table.data.slice(0, 5);",
            'window.addEventListener("resize", e => e.data.indexOf("x"));',
        ],
    )
    def test_what_is_no_search_in_the_text(self, root: Path, line: str) -> None:
        page(root, line)
        assert notes(root) == []

    def test_the_work_grows_with_the_page_alone(self, root: Path) -> None:
        """These would take minutes if blanks were tried one by one, or each handler by itself."""
        handlers = (f"w.onmessage = (m{number}) => show(m{number});" for number in range(10_000))
        page(root, *handlers, f"w.onmessage = {' ' * 300_000};", "x = /a/.test( m7.data );")
        (note,) = notes(root)
        assert note.startswith("index.html:10004: searches the text of a message")

    def test_a_header_that_may_be_a_list(self, root: Path) -> None:
        page(root, 'var parts = msg.data.ChanVariable.split("=");', 'msg.data.Variable || "";')
        (note,) = notes(root)
        assert note.startswith("index.html:3: takes ChanVariable for a text")


@pytest.mark.parametrize("action", ["Logoff", "Events", "filter"])
def test_an_action_that_is_refused(root: Path, action: str) -> None:
    page(root, f'ws.send(\'{{"Action": "{action}", "EventMask": "call"}}\');')
    (note,) = notes(root)
    assert note.startswith(f"index.html:3: sends the action {action}, which is refused")


def test_other_actions_are_none(root: Path) -> None:
    page(root, 'ws.send(JSON.stringify({Action: "EventsOfMine", Event: "Login"}));')
    assert notes(root) == []


class TestFiles:
    def test_scripts_of_their_own_and_in_folders(self, root: Path) -> None:
        (root / "js").mkdir()
        (root / "js" / "app.js").write_text('// first\nvar u = "ws://192.0.2.7:8000/";\n')
        (root / "js" / "lib.min.js").write_text('var u = "ws://192.0.2.7:8000/";\n')
        (root / ".old.js").write_text('var u = "ws://192.0.2.7:8000/";\n')
        (note,) = notes(root)
        assert note.startswith("js/app.js:2: ")

    def test_what_is_not_served(self, root: Path, tmp_path: Path) -> None:
        (root / "api" / "v1").mkdir(parents=True)
        (root / "api" / "v1" / "phones.json").write_text("[]")
        (root / "metrics").write_text("old")
        (tmp_path / "shared.js").write_text("")
        (root / "shared.js").symlink_to(tmp_path / "shared.js")
        (root / "same.js").symlink_to("other.js")
        (tmp_path / "javascript").mkdir()
        (root / "libraries").symlink_to(tmp_path / "javascript")
        (root / "same").symlink_to("api")
        (root / "other.js").write_text("")
        found = notes(root)
        assert [note.partition(":")[0] for note in found] == [
            "libraries",
            "metrics",
            "shared.js",
            "api/v1/phones.json",
        ]
        assert all("is not served" in note for note in found)
        assert len(notes(root, metrics_listen="127.0.0.1:9090")) == 3
        assert f"{PREFIX}/" == migration.API

    def test_what_is_served_to_pages_of_this_server_alone(self, root: Path) -> None:
        """As the gate has it; test_api_blueprint.py has the file served."""
        (root / "api").mkdir()
        (root / "api" / "phones.json").write_text("[]")
        (note,) = notes(root)
        assert note.startswith("api/phones.json: is refused to pages of other web sites")

    def test_a_fifo_is_not_waited_for(self, root: Path) -> None:
        os.mkfifo(root / "index.html")
        assert notes(root) == []

    def test_bytes_that_are_no_text(self, root: Path) -> None:
        (root / "index.html").write_bytes(b"\xff\xfe<script>\n\x00 x('ws://192.0.2.7:8000/')")
        (note,) = notes(root)
        assert note.startswith("index.html:2: ")


class TestBounds:
    def test_a_huge_root_is_not_looked_at_to_the_end(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(migration, "MOST_ENTRIES", 10)
        for number in range(30):
            page(root, 'x("ws://192.0.2.7:8000/")', name=f"{number:02}.html")
        found = notes(root)
        assert len(found) == 11
        assert "only its first" in found[-1]

    def test_not_too_many_pages_are_read(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(migration, "MOST_PAGES", 3)
        for number in range(5):
            page(root, name=f"{number}.html")
        (note,) = notes(root)
        assert "only its first" in note

    def test_not_too_many_bytes_are_read(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(migration, "MOST_BYTES", 100)
        for number in range(5):
            page(root, "x" * 100, name=f"{number}.html")
        (note,) = notes(root)
        assert "only its first 2 files" in note

    def test_not_too_much_is_told(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(migration, "MOST_FINDINGS", 4)
        page(root, *['x("ws://192.0.2.7:8000/")'] * 20)
        found = notes(root)
        assert len(found) == 5
        assert found[-1].startswith("there is more like it")

    def test_a_large_file_is_no_page(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(migration, "LARGEST_PAGE", 100)
        page(root, 'x("ws://192.0.2.7:8000/")', " " * 100)
        assert notes(root) == []

    @pytest.mark.parametrize(
        "piece", ["/*", "<!--", "`", "<script", "'", '"', "\\", "//", "onmessage=("]
    )
    def test_what_never_ends_takes_no_time_that_grows_with_its_square(
        self, root: Path, piece: str
    ) -> None:
        """A square would take minutes for this; the time limit of the tests is the judge."""
        much = piece * (200_000 // len(piece))
        (root / "a.js").write_text(much)
        (root / "a.html").write_text("<script>" + much)
        assert notes(root) == []


@pytest.mark.parametrize("folder", ["web_root", "examples", "docs"])
def test_pages_that_come_with_the_program_are_not_told_of(folder: str, tmp_path: Path) -> None:
    """Not even from another place, where they are not known to be the program's own."""
    other = tmp_path / folder
    other.symlink_to(ROOT / folder)
    made = settings(tmp_path).model_copy(update={"ssl_cert": Path("cert.pem"), "web_root": other})
    looked = migration._Look(made)
    assert [finding.told() for finding in looked.findings()] == []
    assert looked.entries > 3


def test_the_dashboard_itself_is_not_looked_at() -> None:
    assert page_notes(settings(ROOT / "web_root")) == []
