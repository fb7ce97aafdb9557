"""The dashboard's view of queues, in Chromium, against the real program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.browser.desk import Desk
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration, wait_until

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>"


class Office:
    """A program with a scripted server of queues, perhaps with others after it, and its page."""

    def __init__(
        self, folder: Path, stack: ExitStack, desk: Desk, page: Page, *others: Desk
    ) -> None:
        self.desk = desk
        self.page = page
        ports = [stack.enter_context(one.server).port for one in (desk, *others)]
        names = ("pbx", "another pbx")
        hosts = [ami_host(port, name=name) for port, name in zip(ports, names, strict=False)]
        self.program = stack.enter_context(
            Program(folder, configuration(*hosts, more="live_state: yes\n"))
        )
        self.program.wait_for_log("the live state is synchronised", count=len(ports))

    def state(self, kind: str) -> list[dict[str, Any]]:
        """The entities of a kind, as the API has them."""
        address = f"http://127.0.0.1:{self.program.port}/api/v1/state/{kind}"
        items: list[dict[str, Any]] = requests.get(address, timeout=WAIT).json()["items"]
        return items

    def open(self, view: str) -> None:
        self.page.goto(f"http://127.0.0.1:{self.program.port}/#/{view}")

    def figure(self, name: str) -> Locator:
        return self.page.locator(f"[data-figure={name}] dd")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def desk() -> Desk:
    """Two queues; in sales one agent of each kind."""
    desk = Desk("sales", "support")
    desk.member("sales", "PJSIP/201", "Anna Weber", status=2, InCall=1, CallsTaken=7)
    desk.member("sales", "PJSIP/202", "Bob Berg", Membership="dynamic")
    desk.member("sales", "PJSIP/203", "Carla Costa", Paused=1, PausedReason="Lunch")
    desk.member("sales", "PJSIP/204", "Deniz Dubois", status=5)
    desk.member("support", "Local/205@agents/n", "Elif", StateInterface="hint:205@agents")
    desk.channel("PJSIP/201-0000002a", "7.1")
    return desk


@pytest.fixture
def office(tmp_path: Path, stack: ExitStack, desk: Desk, page: Page) -> Office:
    office = Office(tmp_path, stack, desk, page)
    office.open("queues?server=1&queue=sales")
    expect(page.locator("#queue-name")).to_have_text("sales")
    return office


def confirm(page: Page, **values: str) -> None:
    """Answer the question that is asked, with the fields given."""
    dialog = page.locator("dialog[open]")
    for name, value in values.items():
        field = dialog.locator(f"[name={name}]")
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    dialog.locator("[type=submit]").click()


def test_callers_join_and_the_longest_waiting_is_first_and_loud(office: Office, page: Page) -> None:
    office.desk.join("sales", "1.1", "491", "Ina First")
    callers = page.locator(".queue-caller")
    expect(callers).to_have_count(1)
    office.desk.join("sales", "1.2", "492", HOSTILE)
    office.desk.join("support", "1.3", "493", "Somebody else")
    expect(callers.locator(".who")).to_have_text(["Ina First", HOSTILE])
    expect(office.figure("waiting")).to_have_text("2")
    expect(page.locator(".queue-card", has_text="support").locator(".large b")).to_have_text("1")
    limits = page.get_by_role("button", name="Alarms", exact=True)
    limits.click()
    confirm(page, waiting="2", wait="0", scope="1 sales")
    expect(page.locator(".alarm-texts")).to_contain_text("2 wait")
    expect(page.locator(".queue-caller.loud-2")).to_have_count(2)
    expect(page.locator(".queue-card.in-alarm")).to_have_count(1)
    expect(page.locator("main img")).to_have_count(0)
    office.desk.leave("sales", "1.1")
    expect(callers.locator(".who")).to_have_text([HOSTILE])
    expect(page.locator(".alarm-texts")).not_to_contain_text("2 wait")


def test_figures_are_those_of_the_api(office: Office, page: Page) -> None:
    for number in range(5):
        office.desk.join("sales", f"1.{number}", f"49{number}", "Ina")
    office.desk.connect("sales", "1.0", "PJSIP/202", 5)
    office.desk.connect("sales", "1.1", "PJSIP/202", 65)
    office.desk.abandon("sales", "1.2", 80)
    expect(office.figure("abandoned")).to_have_text("1")
    queue = next(one for one in office.state("queue") if one["id"] == "sales")
    assert [queue[name] for name in ("entered", "answered", "answered_in_level")] == [5, 2, 1]
    for name in ("waiting", "entered", "answered", "abandoned"):
        expect(office.figure(name)).to_have_text(str(queue[name]))
    expect(office.figure("level_answered")).to_have_text("50%")
    expect(office.figure("level_entered")).to_have_text("20%")
    expect(office.figure("longest_wait")).to_have_text("1:20")
    expect(page.locator(".queue-incomplete")).to_contain_text("not complete")


def test_agents_are_told_in_words_and_counted(office: Office, page: Page) -> None:
    tiles = page.locator(".queue-member")
    expect(tiles.locator(".who")).to_have_text(
        ["Anna Weber", "Bob Berg", "Carla Costa", "Deniz Dubois"]
    )
    expect(tiles.locator(".chip")).to_have_text(["Talking", "Free", "Paused", "Unreachable"])
    expect(tiles.nth(0)).to_contain_text("with Ida")
    expect(tiles.nth(2)).to_contain_text("Paused: Lunch")
    for name, value in (("logged_in", 3), ("idle", 1), ("talking", 1), ("paused", 1)):
        expect(office.figure(name)).to_have_text(str(value))


def test_who_gave_up_is_listed_and_called_back(office: Office, page: Page) -> None:
    office.desk.join("sales", "1.1", "49301234", HOSTILE)
    office.desk.abandon("sales", "1.1", 75)
    row = page.locator(".queue-abandoned tbody tr")
    expect(row.locator(".who")).to_have_text(HOSTILE)
    expect(row).to_contain_text("1:15")
    row.get_by_role("button").click()
    expect(page.locator("dialog[open] h2")).to_have_text(f"Call {HOSTILE} back?")
    confirm(page, phone="PJSIP/299", context="internal")
    sent = office.desk.wait_for("Originate")
    names = ("Channel", "Context", "Exten", "Priority", "Async")
    assert [sent.get(name) for name in names] == [
        "PJSIP/299", "internal", "49301234", "1", "true"
    ]  # fmt: skip
    expect(page.locator(".notice")).to_contain_text("Your phone rings")


def test_listening_is_at_the_real_channel_and_where_there_is_one(
    office: Office, page: Page
) -> None:
    listen = page.get_by_role("button", name=re.compile("^Listen"))
    expect(page.locator(".queue-members")).to_contain_text("name your phone in the preferences")
    expect(listen).to_have_count(0)
    page.get_by_role("button", name="Preferences").click()
    page.get_by_label("Your phone").fill("PJSIP/299")
    page.get_by_role("button", name="Close").click()
    expect(listen).to_have_count(1)
    for button, options in (("Listen", "qE"), ("Whisper", "qwE"), ("Join", "qBE")):
        office.desk.asked.clear()
        page.get_by_role("button", name=f"{button}: Anna Weber").click()
        confirm(page)
        sent = office.desk.wait_for("Originate")
        assert (sent.get("Channel"), sent.get("Application"), sent.get("Data")) == (
            "PJSIP/299",
            "ChanSpy",
            f"PJSIP/201-0000002a,{options}",
        )


def test_callers_are_sent_elsewhere_and_hung_up_on(office: Office, page: Page) -> None:
    office.desk.join("sales", "1.1", "491", "Ina")
    page.get_by_role("button", name="Redirect: Ina").click()
    confirm(page, extension="205", context="internal")
    sent = office.desk.wait_for("Redirect")
    assert [sent.get(name) for name in ("Channel", "Context", "Exten")] == [
        "PJSIP/trunk-11", "internal", "205"
    ]  # fmt: skip
    page.get_by_role("button", name="Hang up: Ina").click()
    confirm(page)
    assert office.desk.wait_for("Hangup").get("Channel") == "PJSIP/trunk-11"


def test_agents_are_added_removed_and_paused_only_after_a_yes(office: Office, page: Page) -> None:
    expect(page.get_by_role("button", name=re.compile("^Remove"))).to_have_count(1)
    page.get_by_role("button", name="Remove: Bob Berg").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Remove: Bob Berg").click()
    confirm(page)
    sent = office.desk.wait_for("QueueRemove")
    assert (sent.get("Queue"), sent.get("Interface")) == ("sales", "PJSIP/202")
    assert [one.action for one in office.desk.asked] == ["QueueRemove"]
    page.get_by_role("button", name="Agent", exact=True).click()
    confirm(page, device="PJSIP/210", member="Zoé")
    added = office.desk.wait_for("QueueAdd")
    names = ("Queue", "Interface", "MemberName", "Penalty")
    assert [added.get(name) for name in names] == ["sales", "PJSIP/210", "Zoé", "0"]
    page.get_by_role("button", name="Pause: Bob Berg").click()
    confirm(page, reason="Meeting", scope="one")
    tile = page.locator(".queue-member", has_text="Bob Berg")
    expect(tile).to_contain_text("Paused: Meeting")
    tile.get_by_role("button", name="End pause").click()
    confirm(page)
    expect(tile.locator(".chip")).to_have_text("Free")


SAVED = """
() => new Promise((resolve) => {
  const make = URL.createObjectURL;
  URL.createObjectURL = (blob) => {
    blob.arrayBuffer().then((bytes) => resolve([...new Uint8Array(bytes)]));
    return make(blob);
  };
})
"""


def exported(page: Page, button: Locator) -> str:
    """What a button saves, as the bytes say."""
    page.evaluate(f"() => void (window.saved = ({SAVED})())")
    with page.expect_download():
        button.click()
    return bytes(page.evaluate("saved")).decode()


def test_csv_is_for_spreadsheets_and_runs_nothing_there(office: Office, page: Page) -> None:
    office.desk.join("sales", "1.1", "+4930", '=HYPERLINK("x", "y")')
    office.desk.abandon("sales", "1.1", 75)
    office.desk.join("sales", "1.2", "-12", "@SUM(A1)")
    office.desk.abandon("sales", "1.2", 5)
    expect(page.locator(".queue-abandoned tbody tr")).to_have_count(2)
    save = page.get_by_role("button", name="Export as CSV: Who gave up last")
    text = exported(page, save)
    assert text.startswith("\ufeffNumber,Name,When,Waited (seconds)\r\n")
    lines = text.split("\r\n")
    assert re.fullmatch(r"'-12,'@SUM\(A1\),\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,5", lines[1])
    assert lines[2].startswith('\'+4930,"\'=HYPERLINK(""x"", ""y"")",')
    assert lines[3:] == [""]
    agents = exported(page, page.get_by_role("button", name="Export as CSV: Agents today"))
    row = agents.split("\r\n")[1]
    assert row == "sales,Anna Weber,PJSIP/201,Talking,,7,0,0,0,0"


def test_forty_queues_are_searched_and_the_loud_come_first(
    tmp_path: Path, stack: ExitStack, page: Page
) -> None:
    desk = Desk(*(f"team {number}" for number in range(40)))
    office = Office(tmp_path, stack, desk, page)
    office.open("queues")
    cards = page.locator(".queue-card")
    expect(cards).to_have_count(40)
    expect(cards.locator("strong").nth(9)).to_have_text("team 9")  # as people sort
    desk.join("team 33", "1.1", "491", "Ina")
    expect(cards.nth(33).locator(".large b")).to_have_text("1")
    page.get_by_label("Order").select_option("loud")
    expect(cards.first.locator("strong")).to_have_text("team 33")
    page.get_by_role("searchbox").fill("team 12")
    expect(cards).to_have_count(1)
    cards.first.press("Enter")
    expect(page.locator("#queue-name")).to_have_text("team 12")
    assert page.evaluate("location.hash") == "#/queues?server=1&queue=team+12"


def test_one_queue_is_shown_at_once(tmp_path: Path, stack: ExitStack, page: Page) -> None:
    office = Office(tmp_path, stack, Desk("only"), page)
    office.open("queues")
    expect(page.locator("#queue-name")).to_have_text("only")
    expect(page.locator(".queue-card")).to_be_hidden()


NOTES = """
window.notes = [];
window.Notification = class extends EventTarget {
  static permission = "default";
  static async requestPermission() { return (Notification.permission = "granted"); }
  constructor(title, { body }) { super(); notes.push(`${title}: ${body}`); }
};
"""


def test_new_alarms_are_notified_once_somebody_has_asked(
    tmp_path: Path, stack: ExitStack, desk: Desk, page: Page
) -> None:
    page.add_init_script(NOTES)
    office = Office(tmp_path, stack, desk, page)
    office.open("queues")
    page.evaluate("localStorage.setItem('amiws.queue_alarms', '{\"\": {\"waiting\": 1}}')")
    page.reload()
    office.desk.join("support", "1.1", "491", "Ina")
    expect(page.locator(".queue-card.in-alarm")).to_have_count(1)
    assert page.evaluate("notes") == []
    switch = page.get_by_role("button", name="Notifications of new alarms")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    office.desk.join("sales", "1.2", "492", "Udo")
    expect(page.locator(".queue-card.in-alarm")).to_have_count(2)
    page.wait_for_function("() => notes.length > 0")
    assert page.evaluate("notes") == ["sales: 1 waits · pbx"]


def test_what_is_drawn_is_known_to_whom_asks_for_alarms(
    tmp_path: Path, stack: ExitStack, desk: Desk, page: Page
) -> None:
    """Not only when a timer says so: an alarm in between would be taken for one of before."""
    no_timer = (
        "const later = setTimeout; window.setTimeout = (run, ms) => ms === 200 || later(run, ms);"
    )
    page.add_init_script(NOTES + no_timer)
    office = Office(tmp_path, stack, desk, page)
    office.open("queues")
    page.evaluate("localStorage.setItem('amiws.queue_alarms', '{\"\": {\"waiting\": 1}}')")
    page.reload()
    expect(page.locator(".queue-card").first).to_be_visible()
    switch = page.get_by_role("button", name="Notifications of new alarms")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    office.desk.join("sales", "1.2", "492", "Udo")
    page.wait_for_function("() => notes.length > 0")
    assert page.evaluate("notes") == ["sales: 1 waits · pbx"]


def test_a_pause_with_a_reason_is_seen_in_the_simulated_pbx(page: Page, tmp_path: Path) -> None:
    options = ("--demo", "0", "--rate", "0")
    with Program(tmp_path, "ws_host: 127.0.0.1\n", *options) as program:
        program.wait_for_log("the live state is synchronised", 2)
        page.goto(f"http://127.0.0.1:{program.port}/#/queues?server=2&queue=sales")
        page.get_by_role("button", name="Pause: Bob Berg").click()
        confirm(page, reason="Training", scope="all")
        tile = page.locator(".queue-member", has_text="Bob Berg")
        expect(tile.locator(".chip")).to_have_text("Paused")
        asked: dict[str, Any] = {"server": 2, "action": {"Action": "QueueStatus", "Queue": "sales"}}

        def members() -> list[dict[str, Any]]:
            address = f"http://127.0.0.1:{program.port}/api/v1/actions"
            reply = requests.post(address, json=asked, timeout=WAIT).json()
            return [one for one in reply["replies"][0]["items"] if one["Event"] == "QueueMember"]

        wait_until(lambda: any(one["Paused"] == "1" for one in members()), "the pause")
        bob = next(one for one in members() if one["Paused"] == "1")
        assert (bob["Name"], bob["PausedReason"]) == ("Bob Berg", "Training")


def test_what_is_out_of_date_is_in_no_alarm(office: Office, page: Page) -> None:
    for number in range(5):
        office.desk.join("sales", f"2.{number}", "49", "Ina")
    office.open("queues")
    card = page.locator(".queue-card").first
    expect(card.locator(".alarm-word")).to_have_text("Alarm")
    office.desk.server.kill()
    expect(page.locator(".queue-card.stale")).to_have_count(2)
    expect(page.locator(".alarm-word")).to_have_count(0)
    card.click()
    expect(page.locator(".queue-one.stale")).to_be_visible()
    expect(page.locator(".alarm-texts .chip")).to_have_count(0)
