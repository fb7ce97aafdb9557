"""How an Asterisk 11 puts one channel in the place of another: pickup and transfers by phones.

``ast_do_masquerade`` of branch 11, ``main/channel.c``: of two channels the *original* keeps its
Uniqueid and what it runs, and gets the phone of the *clone*; what is left is a zombie with the
Uniqueid of the clone, and ends.
"""

from __future__ import annotations

from amiws_gevent.simulator.pbx.model import Bridge, Channel, Device
from amiws_gevent.simulator.pbx.switch import Switch


def masquerade(switch: Switch, original: Channel, clone: Channel) -> None:
    """``clone`` goes on in the place of ``original``, which is left as a zombie in no bridge."""
    stays, zombie = clone.name, f"{original.name}<ZOMBIE>"
    switch.out.append(
        f"Event: Masquerade\r\nPrivilege: call,all\r\nClone: {stays}\r\n"
        f"CloneState: {clone.state_name}\r\nOriginal: {original.name}\r\n"
        f"OriginalState: {original.state_name}\r\n\r\n"
    )
    _rename(switch, clone.uniqueid, stays, f"{stays}<MASQ>")
    _rename(switch, original.uniqueid, original.name, stays)
    _rename(switch, clone.uniqueid, f"{stays}<MASQ>", zombie)
    del switch.channels[original.name]
    original.name = zombie
    switch.channels[zombie] = original
    original.uniqueid, clone.uniqueid = clone.uniqueid, original.uniqueid
    before, clone.state = clone.state, original.state
    for name in ("context", "exten", "priority", "application", "data"):
        setattr(clone, name, getattr(original, name))
    original.changed()
    clone.changed()
    switch.set_state(clone, before)
    switch.set_caller_id(clone, clone.caller_number, clone.caller_name)


def take_over(
    switch: Switch,
    old: tuple[Channel, Channel, Bridge],
    new: tuple[Channel, Bridge | None],
) -> None:
    """Who talks to a phone goes on in the place of its other line (chan_sip.c,
    ``local_attended_transfer``).

    ``old`` is who stays, the phone's line to him and their bridge; ``new`` its other line, which
    ends, and the bridge that it has, None if it is still being dialled.
    """
    stays, leaves, bridge = old
    second, asking = new
    switch.leave(leaves)
    switch.leave(stays)
    switch.destroy_bridge(bridge)
    switch.leave(second)
    masquerade(switch, second, stays)
    if asking is not None:
        asking.caller = stays
        switch.enter(asking, stays)
    switch.hangup(second, 16)


def go_to(switch: Switch, channel: Channel) -> None:
    """One that was called has no dialplan of its own: a new channel, which has, takes its place
    (main/pbx.c, ``ast_async_goto``)."""
    name = f"AsyncGoto/{channel.name}"
    fresh = switch.new_channel(
        channel.call,
        Device(name, "", "", ""),
        state=channel.state,
        context=channel.context,
        exten=channel.exten,
        channel_name=name,
        begins=True,
    )
    masquerade(switch, fresh, channel)
    switch.hangup(fresh, 16)


def _rename(switch: Switch, uniqueid: str, old: str, new: str) -> None:
    switch.out.append(
        f"Event: Rename\r\nPrivilege: call,all\r\nChannel: {old}\r\nNewname: {new}\r\n"
        f"Uniqueid: {uniqueid}\r\n\r\n"
    )
