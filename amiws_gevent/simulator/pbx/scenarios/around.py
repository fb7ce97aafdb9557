"""What goes on around calls: breaks, phones that cannot be reached, carriers, mailboxes."""

from __future__ import annotations

from amiws_gevent.simulator.pbx import phones
from amiws_gevent.simulator.pbx.model import (
    ChannelState,
    Script,
)
from amiws_gevent.simulator.pbx.stage import Stage


def pause(stage: Stage) -> Script:
    """app_queue.c ``set_member_paused``."""
    member = stage.troupe.queue.members[0]
    stage.switch.pause(member, True, "Coffee")
    yield stage.wait(12)
    stage.switch.pause(member, False, "")


def unreachable(stage: Stage) -> Script:
    """chan_sip.c ``sip_poke_noanswer``; pjsip_options.c ``sip_options_contact_status_update``."""
    phones.reach(stage.switch, stage.e, False)
    yield stage.wait(12)
    phones.reach(stage.switch, stage.e, True)


def registration(stage: Stage) -> Script:
    """The carrier rejects, then accepts again: stasis_system.c ``system_registry_to_ami``."""
    mine = stage.switch.registrations[0]
    if mine.registered:
        phones.register(stage.switch, mine, False)
        yield stage.wait(9)
        phones.register(stage.switch, mine, True)


def messages(stage: Stage) -> Script:
    """Somebody speaks to a mailbox, and its owner listens: app_voicemail.c, manager_mwi.c."""
    caller = stage.scripts.from_outside(stage.call, "Kunde Vier", "4930777777")
    stage.switch.execute(caller, "VoiceMail", f"{stage.d.number}@default,u")
    stage.switch.set_state(caller, ChannelState.UP)
    yield stage.wait(6)
    phones.messages(stage.switch, stage.d, stage.d.new_messages + 1, stage.d.old_messages)
    stage.hang_up(caller)
    yield stage.wait(6)
    owner = stage.lift(stage.d, "*97")
    stage.switch.execute(owner, "VoiceMailMain", f"{stage.d.number}@default")
    stage.switch.set_state(owner, ChannelState.UP)
    yield stage.wait(6)
    phones.messages(stage.switch, stage.d, 0, 0)
    stage.end(by=owner)


def branch(stage: Stage) -> Script:
    """chan_iax2.c ``iax2_poke_noanswer`` and ``socket_process``."""
    device = stage.switch.devices[f"IAX2/{stage.switch.style.branch}"]
    phones.reach(stage.switch, device, False)
    yield stage.wait(12)
    phones.reach(stage.switch, device, True)


def presence(stage: Stage) -> Script:
    """res/func_presencestate.c; presencestate.c ``do_presence_state_change``."""
    phones.presence(stage.switch, stage.d, "away", 'Zahnarzt, zurück um 3 "ungefähr"')
    yield stage.wait(10)
    phones.presence(stage.switch, stage.d, "available")


def do_not_disturb(stage: Stage) -> Script:
    """func_devstate.c, by FreePBX's habit; a phone that refuses is BUSY: app_dial.c."""
    phones.do_not_disturb(stage.switch, stage.b, True)
    yield stage.wait(3)
    caller = stage.lift(stage.a, stage.b.number)
    dial = stage.dial(caller, stage.b)
    yield stage.wait(0.3)
    stage.refuse(dial, "BUSY")
    stage.hang_up(caller, 17)
    yield stage.wait(6)
    phones.do_not_disturb(stage.switch, stage.b, False)
