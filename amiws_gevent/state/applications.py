"""Which applications of the dialplan are a state that an operator knows."""

from __future__ import annotations

from typing import Final

_PLUMBING: Final = """
AddQueueMember Answer AppDial AppDial2 AppQueue Bridge Busy CELGenUserEvent ChanIsAvail
ChannelRedirect ConfBridge Congestion ContinueWhile DBdel DBdeltree Dial EndWhile Exec ExecIf
ExecIfTime ExitWhile FollowMe ForkCDR Gosub GosubIf Goto GotoIf GotoIfTime Hangup ImportVar
Incomplete Log MSet Macro MacroExclusive MacroExit MacroIf MeetMe MixMonitor Monitor NoCDR NoOp
Originate Page Park ParkAndAnnounce ParkedCall PauseMonitor PauseQueueMember Pickup PickupChan
Proceeding Progress Queue QueueLog RaiseException Random RemoveQueueMember ResetCDR RetryDial
Return Ringing SIPAddHeader SIPRemoveHeader SendURL Set SetAMAFlags StackPop StopMixMonitor
StopMonitor StopPlayTones System Transfer TryExec TrySystem UnpauseMonitor UnpauseQueueMember
UserEvent Verbose Wait WaitExten WaitForNoise WaitForRing WaitForSilence WaitUntil While
"""

PLUMBING: Final = frozenset(_PLUMBING.split())
"""Those that are none: they lead a call on, or the call says better what they do."""

DIALLING: Final = frozenset({"Dial", "FollowMe", "Page", "Queue", "RetryDial"})
"""Those that call others."""


def told(application: str | None) -> str | None:
    """An application as a call tells it; None if it is no state of a call."""
    return None if application in PLUMBING else application
