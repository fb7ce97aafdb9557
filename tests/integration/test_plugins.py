"""Plugins in the real program: what they do to clients, and what their faults do not."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import HTTPDigestAuth
from websockets.exceptions import InvalidStatus

from tests.support.ami_server import AmiServer
from tests.support.patience import WAIT
from tests.support.plugin_site import QUIET, Site, events, with_notes
from tests.support.program import wait_until
from tests.support.v2_client import EventsClient
from tests.support.ws_client import Client, is_error


def test_a_file_in_a_folder_filters_an_event_out_for_all_clients(site: Site) -> None:
    site.plugin("quiet", QUIET)
    assert len(QUIET.strip().splitlines()) <= 10
    with (
        site.program("quiet") as program,
        Client(program.port) as classic,
        EventsClient(program.port) as v2,
    ):
        site.ami.wait_login()
        program.wait_for_log("connected to")
        site.send("Newchannel", "VarSet", "Hangup", "RTCPSent", "Last")
        for client in (classic, v2):
            client.wait_for_event("Last")
            assert events(client) == ["Newchannel", "Hangup", "Last"]


# Each with what is told of it, but for the plugin's name and file.
MISTAKES = {
    "import": ("import no_such_module\n" + QUIET, ":1: ModuleNotFoundError: No module named"),
    "syntax": ("def amiws_filter_message(message:\n    pass\n", ":1: SyntaxError: "),
    "misspelt": ("X = 1\ndef amiws_filter_mesage(message):\n    pass\n", ":2: there is no hook"),
    "parameter": ("def amiws_filter_message(msg):\n    pass\n", ":1: amiws_filter_message has no"),
    "async": ("async def amiws_filter_message():\n    pass\n", ":1: amiws_filter_message must be"),
    "instance": ("class Plugin:\n    def __init__(self):\n        1 / 0\n", ":3: ZeroDivision"),
    "model": ("def amiws_settings():\n    return dict\n", ":1: amiws_settings must return"),
}
SETTINGS = """
from amiws_gevent.plugins.api import PluginSettings

class Settings(PluginSettings):
    number: int

def amiws_settings():
    return Settings

def amiws_filter_message(message):
    return False if message.name == "VarSet" else None
"""
WRONG_SETTINGS = {
    "wrong": ("number: five", ":6: plugins[0].bad.number: must be a whole number"),
    "unknown": (
        "number: 5\n    numbr: 5",
        ":7: plugins[0].bad.numbr: is not a setting of the plugin",
    ),
    "missing": ("required: no", ":5: plugins[0].bad.number: is missing"),
}
STARTUP = "def amiws_startup():\n    raise OSError('no printer')\n"


class TestMistakes:
    @pytest.mark.parametrize("words", [(), ("--check",), ("--plugins",)])
    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_refused_at_the_start(self, site: Site, mistake: str, words: tuple[str, ...]) -> None:
        source, told = MISTAKES[mistake]
        file = site.plugin("bad", source)
        done = site.run("bad", *words)
        assert done.returncode == 78
        assert f"plugins[0]: plugin bad: {file}{told}" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("words", [(), ("--check",)])
    @pytest.mark.parametrize("mistake", WRONG_SETTINGS)
    def test_wrong_settings_at_the_start(
        self, site: Site, mistake: str, words: tuple[str, ...]
    ) -> None:
        line, told = WRONG_SETTINGS[mistake]
        site.plugin("bad", SETTINGS)
        done = site.run(f"- bad:\n    {line}\n", *words)
        assert done.returncode == 78
        assert told in done.stderr

    def test_a_startup_that_raises(self, site: Site) -> None:
        file = site.plugin("bad", STARTUP)
        assert site.run("bad", "--check").returncode == 0
        done = site.run("bad")
        assert done.returncode == 78
        assert f"plugin bad: amiws_startup: {file}:2: OSError: no printer" in done.stderr
        assert "Traceback" not in done.stderr

    def test_settings_that_hold_themselves(self, site: Site) -> None:
        site.plugin("bad", SETTINGS)
        done = site.run("- bad:\n    number: &a [*a, *a]\n", "--check")
        assert done.returncode == 78
        assert "contains itself" in done.stderr

    def test_on_a_reload_the_old_ones_stay(self, site: Site) -> None:
        good = with_notes(
            """
            def amiws_startup():
                note("starts")

            def amiws_shutdown():
                note("ends")
            """
        )
        site.plugin("good", good)
        site.plugin("quiet", QUIET)
        site.plugin("bad", SETTINGS)
        with site.program("quiet good") as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            refused = 0
            for source, told in MISTAKES.values():
                site.plugin("bad", source)
                program.reload(site.configuration("quiet bad good"))
                refused += 1
                program.wait_for_log("the previous one stays in force", refused)
                program.wait_for_log(told)
            for line, told in WRONG_SETTINGS.values():
                site.plugin("bad", SETTINGS)
                program.reload(site.configuration(f"- bad:\n    {line}\n"))
                refused += 1
                program.wait_for_log("the previous one stays in force", refused)
                program.wait_for_log(told)
            assert site.notes == ["starts"]
            site.plugin("bad", STARTUP)
            program.reload(site.configuration("quiet bad"))
            program.wait_for_log("the previous one stays in force", refused + 1)
            program.wait_for_log("plugin bad: amiws_startup: ")
            assert site.notes == ["starts", "ends", "starts"]
            site.send("VarSet", "Hangup")
            client.wait_for_event("Hangup")
            assert events(client) == ["Hangup"]
        assert site.notes == ["starts", "ends", "starts", "ends"]


def test_plugins_are_listed_with_stars_for_secrets(site: Site) -> None:
    file = site.plugin(
        "mine",
        """
        from pydantic import SecretStr
        from amiws_gevent.plugins.api import PluginSettings

        class Settings(PluginSettings):
            key: SecretStr
            word: str = "hello"

        def amiws_settings():
            return Settings

        def amiws_log_message(message):
            pass
        """,
    )
    done = site.run("- mine:\n    key: s3cret\n- event_filter:\n    deny: VarSet\n", "--plugins")
    assert done.returncode == 0
    assert "s3cret" not in done.stdout + done.stderr
    said = done.stdout
    assert f"mine\n  from      {file}\n  hooks     amiws_settings, amiws_log_message\n" in said
    assert "settings  Settings(key=SecretStr('**********'), word='hello')" in said
    assert said.index("mine\n") < said.index("event_filter\n")


class TestAnswers:
    def test_order_first_answer_and_the_chain_of_transforms(self, site: Site) -> None:
        tag = """
            def amiws_transform_message(message):
                return message.replace("Tags", (message.get("Tags") or "") + "{0}")

            def amiws_filter_message(message):
                if message.name == "Keep{0}":
                    return True
                if message.name in ("Keep1", "Keep2", "Drop{0}"):
                    return False
            """
        site.plugin("one", tag.format(1))
        site.plugin("two", tag.format(2))
        with site.program("one two") as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            site.send("Keep1", "Keep2", "Drop1", "Drop2", "A")
            assert client.wait_for_event("A")["Tags"] == "12"
            assert events(client) == ["Keep1", "A"]
            program.reload(site.configuration("two one"))
            program.wait_for_log("configuration applied")
            site.send("Keep1", "Keep2", "B")
            assert client.wait_for_event("B")["Tags"] == "21"
            assert events(client) == ["Keep1", "A", "Keep2", "B"]

    @pytest.mark.parametrize("required", [False, True])
    def test_a_fault_passes_the_message_or_for_a_required_plugin_drops_it(
        self, site: Site, required: bool
    ) -> None:
        site.plugin(
            "mask",
            """
            import time
            def amiws_transform_message(message):
                if message.name == "Raise":
                    raise KeyError("Secret")
                if message.name == "Wait":
                    time.sleep(60)
                if message.name == "Wrong":
                    return "masked"
                return message.replace("Secret", "***")
            """,
        )
        lines = f"- mask:\n    required: {'yes' if required else 'no'}\n"
        with site.program(lines) as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            site.send(*[f"{name}\r\nSecret: 1234" for name in ("A", "Raise", "Wait", "Wrong", "B")])
            client.wait_for_event("B")
            assert events(client) == (
                ["A", "B"] if required else ["A", "Raise", "Wait", "Wrong", "B"]
            )
            assert client.wait_for_event("A")["Secret"] == "***"

    def test_the_same_plugin_twice_and_variables_in_settings(self, site: Site) -> None:
        site.plugin(
            "add",
            """
            from amiws_gevent.plugins.api import PluginSettings

            class Settings(PluginSettings):
                text: str

            class Plugin:
                def amiws_settings(self):
                    return Settings

                def amiws_startup(self, context):
                    self.text = context.settings.text

                def amiws_transform_message(self, message):
                    return message.replace("Tags", (message.get("Tags") or "") + self.text)
            """,
        )
        lines = "- add:\n    text: one\n- add:\n    text: ${TEXT}\n"
        with (
            site.program(lines, environ={"TEXT": "two"}) as program,
            Client(program.port) as client,
        ):
            site.ami.wait_login()
            program.wait_for_log("connected to")
            site.send("A")
            assert client.wait_for_event("A")["Tags"] == "onetwo"

    def test_an_installed_plugin_by_the_name_of_its_entry_point(
        self, site: Site, tmp_path: Path
    ) -> None:
        library = tmp_path / "library"
        info = library / "noise-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noise\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[amiws_gevent]\nnoise = noise_plugin\n")
        (library / "noise_plugin.py").write_text(QUIET)
        with (
            site.program("noise", environ={"PYTHONPATH": str(library)}) as program,
            Client(program.port) as client,
        ):
            site.ami.wait_login()
            program.wait_for_log("connected to")
            site.send("VarSet", "Hangup")
            client.wait_for_event("Hangup")
            assert events(client) == ["Hangup"]


class TestAuthorize:
    def test_a_client_that_is_refused_gets_403_and_the_reason(self, site: Site) -> None:
        site.plugin(
            "door",
            """
            def amiws_authorize_client(request, user):
                if "late" in request.target:
                    return "come back tomorrow"
                if "fault" in request.target:
                    raise KeyError("user")
                return "no" not in request.target
            """,
        )
        with site.program("door") as program:
            for target, reason in (
                ("late", b"403 come back tomorrow\n"),
                ("fault", b"403 refused by the plugin door\n"),
                ("no", b"403 refused by the plugin door\n"),
            ):
                with pytest.raises(InvalidStatus) as caught:
                    Client(program.port, url=f"ws://127.0.0.1:{program.port}/ws?{target}")
                assert caught.value.response.status_code == 403
                assert caught.value.response.body == reason
            with Client(program.port):
                program.wait_for_log("client 127.0.0.1")
            program.wait_for_log("WebSocket from 127.0.0.1 refused by a plugin: come back tomorrow")

    def test_an_action_that_is_refused_is_answered_and_not_sent(self, site: Site) -> None:
        site.plugin(
            "rules",
            """
            import time
            def amiws_authorize_action(action, client):
                if action.name == "Originate":
                    return f"{client.view} clients may not call"
                if action.name == "Fault":
                    raise ValueError
                if action.name == "Slow":
                    time.sleep(3600)
            """,
        )
        with (
            site.program("rules") as program,
            Client(program.port) as client,
            Client(program.port) as other,
        ):
            site.ami.wait_login()
            program.wait_for_log("connected to")
            for name, reason in (
                ("Originate", "classic clients may not call"),
                ("Fault", "refused by the plugin rules"),
                ("Slow", "refused by the plugin rules"),
            ):
                answer = client.ask({"Action": name, "ActionID": f"id-{name}"}, is_error)
                assert answer["type"] == 4
                assert answer["data"]["Message"] == reason
                assert answer["data"]["ActionID"] == f"id-{name}"
            client.ask({"Action": "CoreStatus"}, lambda m: m["data"].get("Response") == "Success")
            sent = {packet.action for packet in site.ami.actions}
            assert "CoreStatus" in sent
            assert not sent & {"Originate", "Fault", "Slow"}
            assert not any(map(is_error, other.messages))


def test_who_comes_and_goes(site: Site) -> None:
    site.plugin(
        "visitors",
        with_notes(
            """
            def amiws_client_connected(client):
                note("came", client.address.partition(":")[0], client.user, client.view)

            def amiws_client_disconnected(client, code, reason):
                note("went", client.view, code)
            """
        ),
    )
    with site.program("visitors") as program:
        stream = f"http://127.0.0.1:{program.port}/api/v1/events"
        with (
            Client(program.port),
            Client(program.port, "amiws.v2"),
            requests.get(stream, stream=True, timeout=WAIT),
        ):
            wait_until(lambda: len(site.notes) == 3, "all told")
        wait_until(lambda: len(site.notes) == 6, "all ends told")
    assert sorted(site.notes) == [
        "came 127.0.0.1 None classic",
        "came 127.0.0.1 None events",
        "came 127.0.0.1 None v2",
        "went classic 1000",
        "went events 1006",
        "went v2 1000",
    ]


WEB = """
from flask import Blueprint, g

def amiws_blueprints():
    made = Blueprint("hello", __name__)
    made.add_url_rule("{0}", "greet", lambda: f"hello {{g.user}}")
    return [made]
"""


class TestBlueprints:
    def test_they_are_behind_the_login(self, site: Site, tmp_path: Path) -> None:
        site.plugin("web", WEB.format("/hello"))
        ha1 = hashlib.md5(b"alice:pbx:secret").hexdigest()
        users = tmp_path / "users"
        users.write_text(f"alice:pbx:{ha1}\n")
        more = f"auth_domain: pbx\nauth_file: {users}\n"
        with site.program("web", more) as program:
            url = f"http://127.0.0.1:{program.port}/hello"
            assert requests.get(url, timeout=WAIT).status_code == 401
            done = requests.get(url, auth=HTTPDigestAuth("alice", "secret"), timeout=WAIT)
            assert (done.status_code, done.text) == (200, "hello alice")
            program.reload(site.configuration("web", more))
            program.wait_for_log("configuration applied")
            done = requests.get(url, auth=HTTPDigestAuth("alice", "secret"), timeout=WAIT)
            assert done.text == "hello alice"

    @pytest.mark.parametrize("route", ["/", "/<path:any>", "/hello"])
    def test_a_route_that_is_taken_is_refused(self, site: Site, route: str) -> None:
        site.plugin("first", WEB.format("/hello").replace('"hello"', '"first"'))
        site.plugin("web", WEB.format(route))
        done = site.run("first web")
        assert done.returncode == 78
        assert f"plugin web: blueprint hello: the route {route} already belongs to" in done.stderr

    def test_a_clash_on_reload_changes_nothing(self, site: Site) -> None:
        site.plugin("first", WEB.format("/hello").replace('"hello"', '"first"'))
        site.plugin("web", WEB.format("/hello"))
        with site.program("first") as program:
            program.reload(site.configuration("first web"))
            program.wait_for_log("the previous one stays in force")
            url = f"http://127.0.0.1:{program.port}/hello"
            assert requests.get(url, timeout=WAIT).text == "hello None"


def test_changes_of_a_server_in_order_and_once(site: Site) -> None:
    site.plugin(
        "states",
        with_notes(
            """
            def amiws_server_changed(server, state, reason):
                assert reason.count("\\n") == 0
                note(server.id, server.name, state)
            """
        ),
    )
    with site.program("states") as program:
        wait_until(lambda: site.notes == ["1 pbx connected"], "connected")
        site.ami.kill()
        wait_until(lambda: len(site.notes) == 2, "disconnected")
        program.wait_for_log("not connected")
        site.ami.login = "refuse"
        site.ami.restart()
        wait_until(lambda: len(site.notes) == 3, "refused")
    assert site.notes == ["1 pbx connected", "1 pbx disconnected", "1 pbx refused"]


COUNTER = """
from amiws_gevent.plugins.api import PluginSettings

class Settings(PluginSettings):
    tag: str = "-"
    fails: bool = False

class Plugin:
    count = 0

    def amiws_settings(self):
        return Settings

    def amiws_startup(self, context):
        self.tag = context.settings.tag
        note(self.tag, "starts")
        if context.settings.fails:
            raise OSError("locked")

    def amiws_reload(self):
        note(self.tag, "reloads")

    def amiws_shutdown(self):
        note(self.tag, "ends")

    def amiws_transform_message(self, message):
        self.count += 1
        return message.replace("Count-" + self.tag, str(self.count))
"""


class TestReload:
    def test_only_what_changed_begins_anew(self, site: Site) -> None:
        counter = with_notes(COUNTER)
        site.plugin("a", counter)
        site.plugin("b", counter)
        lines = "- a:\n    tag: a\n- b:\n    tag: {0}\n"
        with site.program(lines.format("b")) as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")

            def counts(name: str) -> tuple[Any, Any]:
                site.send(name)
                event = client.wait_for_event(name)
                return event["Count-a"], event.get("Count-b") or event.get("Count-c")

            def reload(text: str) -> list[str]:
                before, applied = len(site.notes), program.log.count("configuration applied")
                program.reload(text)
                program.wait_for_log("configuration applied", applied + 1)
                return site.notes[before:]

            first = tuple(map(int, counts("First")))
            happened = reload(site.configuration(lines.format("c")))
            wait_until(lambda: "a reloads" in site.notes, "the one that stays is told")
            assert happened[:2] == ["b ends", "c starts"]
            assert counts("Settings") == (str(first[0] + 1), "1")

            site.plugin("a", counter + "# changed\n")
            assert reload(site.configuration(lines.format("c")))[:2] == ["a ends", "a starts"]
            assert counts("File") == ("1", "2")

            swapped = "- b:\n    tag: c\n- a:\n    tag: a\n"
            reload(site.configuration(swapped))
            assert counts("Order") == ("2", "3")
            data = client.wait_for_event("Order")
            assert list(data).index("Count-c") < list(data).index("Count-a")

            assert "c ends" in reload(site.configuration("- a:\n    tag: a\n"))
            site.send("Gone")
            assert "Count-c" not in client.wait_for_event("Gone")

    def test_a_new_start_that_fails_brings_the_old_one_back(self, site: Site) -> None:
        site.plugin("a", with_notes(COUNTER))
        lines = "- a:\n    tag: {0}\n    fails: {1}\n"
        with site.program(lines.format("a", "no")) as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            program.reload(site.configuration(lines.format("b", "yes")))
            program.wait_for_log("the previous one stays in force")
            assert re.search(r"plugin a: amiws_startup: \S+a\.py:\d+: OSError: locked", program.log)
            assert site.notes == ["a starts", "a ends", "b starts", "b ends", "a starts"]
            site.send("A")
            assert "Count-a" in client.wait_for_event("A")

    def test_so_does_a_port_that_is_taken(self, site: Site, ami: AmiServer) -> None:
        site.plugin("a", with_notes(COUNTER))
        with site.program("- a:\n    tag: a\n") as program:
            text = site.configuration("- a:\n    tag: b\n")
            program.reload(text.replace("ws_port: 0", f"ws_port: {ami.port}"))
            program.wait_for_log("the previous one stays in force")
            assert site.notes == ["a starts", "a ends", "b starts", "b ends", "a starts"]

    def test_no_message_is_lost_or_passes_unchanged_meanwhile(self, site: Site) -> None:
        slow = COUNTER.replace('"starts")', '"starts")\n        import time; time.sleep(0.1)')
        site.plugin("a", with_notes(slow))
        with site.program("- a:\n    tag: t0\n") as program, Client(program.port) as client:
            site.ami.wait_login()
            program.wait_for_log("connected to")
            sent: list[str] = []

            def send() -> None:
                sent.append(f"E{len(sent)}")
                site.send(sent[-1])

            for number in range(1, 4):
                applied = number - 1
                program.reload(site.configuration(f"- a:\n    tag: t{number}\n"))
                while program.log.count("configuration applied") == applied:
                    send()
                    time.sleep(0.002)
                send()
            client.wait_for_event(sent[-1])
            assert events(client) == sent
            for message in client.messages:
                if message["type"] == 3:
                    assert any(name.startswith("Count-t") for name in message["data"]), message
