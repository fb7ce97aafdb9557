"""Every action of AMI, and what its headers can do: which of them lead a call, run a program …

Read in the source of Asterisk 22, and in that of 11 to 20 for what has gone since; each block of
the table names its file. Asterisk checks originates by a list of forbidden words itself, which has
failed before (CVE-2024-42365: ``write = originate`` gave a shell). Nothing here relies on that.

How Asterisk reads an action (``main/manager.c``): names of headers in any case, and of one that
is repeated the first counts (``astman_get_header``), but of ``Variable`` all do
(``astman_get_variables``); bytes up to 0x20 before a value are skipped; what is empty is as if it
were not there.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


class Holds(enum.Enum):
    """What the value of a header is; it says how patterns match it (`patterns`)."""

    NAME = "name"
    """Of a queue, conference, mailbox …, or an id."""
    NUMBER = "number"
    TEXT = "text"
    """For people."""
    CHANNEL = "channel"
    """The name of a channel that is there."""
    MEMBER = "member"
    """The interface of a queue's member that is there, or a device."""
    DIAL = "dial"
    """What will be called. ``Local/x@context`` runs what stands there in the dialplan."""
    CONTEXT = "context"
    EXTEN = "exten"
    PRIORITY = "priority"
    """Where an extension is entered: past the first its checks may be behind."""
    VARIABLE = "variable"
    """The name of a variable, or a function of the dialplan: ``SHELL()``, ``FILE()``."""
    VARIABLES = "variables"
    """Several of them, with commas between."""
    ASSIGN = "assign"
    """``NAME=value``, several with commas between; the header may be repeated."""
    APPLICATION = "application"
    DATA = "data"
    """Arguments of an application."""
    COMMAND = "command"
    """A line for a shell, the console, AGI, or a Gosub."""
    FILE = "file"
    """Of recordings: with a comma in it ``MixMonitor`` takes what follows for a command."""
    OPTIONS = "options"
    """Letters that may have arguments, which can be files and channels."""


REACHES = frozenset({Holds.DIAL, Holds.CONTEXT, Holds.EXTEN, Holds.PRIORITY})
"""What says where a call goes."""

DANGEROUS = frozenset(
    {
        Holds.VARIABLE,
        Holds.VARIABLES,
        Holds.ASSIGN,
        Holds.APPLICATION,
        Holds.DATA,
        Holds.COMMAND,
        Holds.FILE,
        Holds.OPTIONS,
    }
)
"""What can run something, or read and write what is no business of a page."""

TAKEN_BACK = frozenset({Holds.NAME, *REACHES - {Holds.PRIORITY}, Holds.CHANNEL, Holds.MEMBER})
"""Values in which a client may name by its pseudonym what it sees masked."""

DANGERS: Mapping[str, str] = {
    "reach": "leads a call to where it says",
    "shell": "can run programs on the server",
    "config": "changes or reads the configuration",
    "data": "reads or changes data of the server",
    "speaks": "says something in the server's name",
}


@dataclass(frozen=True)
class Form:
    """One action."""

    name: str
    source: str
    """The files of Asterisk's source of which one has it."""
    write: tuple[str, ...]
    """The classes of ``write`` of manager.conf, any of which allows it; none: all may."""
    danger: str
    """A key of DANGERS, or "" for none."""
    headers: Mapping[str, tuple[str, Holds]]
    """By folded name: the name, and what it holds."""
    needs: tuple[str, ...]
    """Folded names that must be there, and for which a rule must say more than any."""
    widens: frozenset[str]
    """Folded names without which it is for all of a kind: a rule for one means that one."""
    harmless: Mapping[str, re.Pattern[str]]
    """Folded names that need no rule if they fit."""

    def holds(self, folded: str) -> Holds:
        """What a header holds; one that Asterisk does not know is a text that means nothing."""
        known = self.headers.get(folded)
        return Holds.TEXT if known is None else known[1]


_TABLE = """
# main/manager.c
AbsoluteTimeout       system,call     -       Channel:channel Timeout:number
Atxfer                call            reach   Channel:channel! Exten:exten! Context:context!
BlindTransfer         call            reach   Channel:channel! Exten:exten! Context:context!
CancelAtxfer          call            -       Channel:channel
Challenge             -               -       AuthType:text
Command               command         shell   Command:command!
CoreSettings          system,reporting -      -
CoreShowChannelMap    system,reporting -      Channel:channel*
CoreShowChannels      system,reporting -      -
CoreStatus            system,reporting -      -
CreateConfig          config          config  Filename:file!
Events                -               -       EventMask:text
ExtensionState        call,reporting  -       Exten:name Context:name*
Filter                system          -       Operation:text Filter:text MatchCriteria:text
GetConfig             system,config   config  Filename:file! Category:name* Filter:text
GetConfigJSON         system,config   config  Filename:file! Category:name* Filter:text
Getvar                call,reporting  data    Channel:channel* Variable:variable!
Hangup                system,call     -       Channel:channel! Cause:number
ListCategories        config          config  Filename:file!
ListCommands          -               -       -
LoggerRotate          system,reporting -      -
Login                 -               -       AuthType:text Username:text Secret:text Key:text \
 Events:text
Logoff                -               -       -
MailboxCount          call,reporting  -       Mailbox:name
MailboxStatus         call,reporting  -       Mailbox:name
ModuleCheck           system          -       Module:name
ModuleLoad            system          config  Module:name! LoadType:name! Recursive:text
Originate             originate       reach   Channel:dial! Exten:exten! Context:context! \
 Priority:priority=1 Timeout:number=n Async:text=b CallerID:text Account:text Variable:assign \
 Application:application Data:data EarlyMedia:text Codecs:name ChannelId:name OtherChannelId:name \
 PreDialGoSub:command
Ping                  -               -       -
PresenceState         call,reporting  -       Provider:name
Redirect              call            reach   Channel:channel! Exten:exten! Context:context! \
 Priority:priority=1 ExtraChannel:channel ExtraExten:exten ExtraContext:context \
 ExtraPriority:priority=1
Reload                config,system   config  Module:name*
SendText              call            speaks  Channel:channel! Message:text Content-Type:text
Setvar                call            data    Channel:channel* Variable:variable! Value:data
Status                system,call,reporting - Channel:channel* Variables:variables AllVariables:text
UpdateConfig          config          config  SrcFilename:file! DstFilename:file! Reload:name \
 PreserveEffectiveContext:text
UserEvent             user            speaks  UserEvent:name!
WaitEvent             -               -       Timeout:number
# main/: bridge.c, core_local.c, data.c, db.c, extension_state.c, features.c, manager_bridges.c, ...
Bridge                call            reach   Channel1:channel! Channel2:channel! Tone:text
BridgeDestroy         system          -       BridgeUniqueid:name!
BridgeInfo            -               -       BridgeUniqueid:name
BridgeKick            call            -       BridgeUniqueid:name* Channel:channel!
BridgeList            -               -       BridgeType:name*
BridgeTechnologyList  -               -       -
BridgeTechnologySuspend   system      config  BridgeTechnology:name!
BridgeTechnologyUnsuspend system      config  BridgeTechnology:name!
DataGet               system,reporting data   Path:name! Search:text Filter:text
DBDel                 system          data    Family:name! Key:name!
DBDelTree             system          data    Family:name! Key:name*
DBGet                 system,reporting data   Family:name! Key:name!
DBGetTree             system,reporting data   Family:name! Key:name*
DBPut                 system          data    Family:name! Key:name! Val:data
ExtensionStateList    call,reporting  -       -
LocalOptimizeAway     system,call     -       Channel:channel
MessageSend           message         speaks  Destination:name To:name From:text Body:text \
 Base64Body:text Variable:assign
ShowDialPlan          config,reporting config Context:name* Extension:name*
# pbx/pbx_config.c, res/res_clialiases.c
DialplanExtensionAdd  system          shell   Context:context! Extension:exten! Priority:name! \
 Application:application! ApplicationData:data Replace:text
DialplanExtensionRemove system        config  Context:context! Extension:exten! Priority:name*
# apps/app_agent_pool.c, chan_agent.c to 11
AgentLogoff           agent           -       Agent:name Soft:text
Agents                agent           -       -
# apps/app_confbridge.c: a RecordFile is the arguments of MixMonitor
ConfbridgeKick        call            -       Conference:name! Channel:channel!
ConfbridgeList        reporting       -       Conference:name*
ConfbridgeListRooms   reporting       -       -
ConfbridgeLock        call            -       Conference:name*
ConfbridgeMute        call            -       Conference:name Channel:channel*
ConfbridgeSetSingleVideoSrc call      -       Conference:name Channel:channel
ConfbridgeStartRecord system          shell   Conference:name* RecordFile:file
ConfbridgeStopRecord  system          -       Conference:name*
ConfbridgeUnlock      call            -       Conference:name*
ConfbridgeUnmute      call            -       Conference:name Channel:channel*
# apps/app_controlplayback.c, app_meetme.c, app_mf.c, app_senddtmf.c
ControlPlayback       call            -       Channel:channel Control:name
MeetmeList            reporting       -       Conference:name*
MeetmeListRooms       reporting       -       -
MeetmeMute            call            -       Meetme:name Usernum:name*
MeetmeUnmute          call            -       Meetme:name Usernum:name*
PlayMF                call            -       Channel:channel Digit:name Duration:number
PlayDTMF              call            reach   Channel:channel! Digit:name Duration:number \
 Receive:text
SendFlash             call            -       Channel:channel Receive:text
# apps/app_mixmonitor.c, res/res_monitor.c to 20: File, Options and Command become one text
MixMonitor            system          shell   Channel:channel File:file Options:options \
 Command:command
MixMonitorMute        system,call     -       Channel:channel* Direction:name State:name
StopMixMonitor        system,call     -       Channel:channel MixMonitorID:name*
Monitor               call            shell   Channel:channel File:file Format:name Mix:text
ChangeMonitor         call            shell   Channel:channel File:file
StopMonitor           call            -       Channel:channel
PauseMonitor          call            -       Channel:channel
UnpauseMonitor        call            -       Channel:channel
# apps/app_queue.c: a queue calls the Interface; without Queue an action is for all queues
QueueAdd              agent           reach   Queue:name! Interface:dial! MemberName:text \
 Paused:text Penalty:number Reason:text StateInterface:member Wrapuptime:number
QueueChangePriorityCaller -           -       Queue:name Caller:name Priority:number Immediate:text
QueueLog              agent           data    Queue:name* Event:name Interface:member* \
 Uniqueid:name Message:text
QueueMemberRingInUse  agent           -       Interface:member Queue:name* RingInUse:text
QueuePause            agent           -       Interface:member Queue:name* Paused:text Reason:text
QueuePenalty          agent           -       Interface:member Queue:name* Penalty:number
QueueReload           -               config  Queue:name* Members:text Rules:text Parameters:text
QueueRemove           agent           -       Interface:member Queue:name
QueueReset            -               data    Queue:name*
QueueRule             -               -       Rule:name*
Queues                -               -       -
QueueStatus           -               -       Queue:name* Member:member*
QueueSummary          -               -       Queue:name*
QueueWithdrawCaller   -               -       Queue:name Caller:name WithdrawInfo:text
# apps/app_voicemail.c
VoicemailBoxSummary   call,reporting  data    Context:name* Mailbox:name*
VoicemailForward      user            data    Mailbox:name Context:name* Folder:name* ID:name* \
 ToMailbox:name ToContext:name ToFolder:name
VoicemailMove         user            data    Mailbox:name Context:name* Folder:name* ID:name* \
 ToFolder:name
VoicemailRefresh      user            -       Context:name* Mailbox:name*
VoicemailRemove       user            data    Mailbox:name Context:name* Folder:name* ID:name*
VoicemailUsersList    call,reporting  data    -
VoicemailUserStatus   call,reporting  data    Context:name* Mailbox:name*
# channels/: chan_dahdi.c, sig_pri.c, chan_iax2.c, chan_sip.c and chan_skinny.c to 20
DAHDIDialOffhook      -               reach   DAHDIChannel:name! Number:exten!
DAHDIDNDoff           -               -       DAHDIChannel:name
DAHDIDNDon            -               -       DAHDIChannel:name
DAHDIHangup           -               -       DAHDIChannel:name
DAHDIRestart          -               config  -
DAHDIShowChannels     -               -       DAHDIChannel:name*
DAHDIShowStatus       -               -       -
DAHDITransfer         -               -       DAHDIChannel:name
IAXnetstats           system,reporting -      -
IAXpeerlist           system,reporting -      -
IAXpeers              system,reporting -      -
IAXregistry           system,reporting -      -
PRIDebugFileSet       system          shell   File:file!
PRIDebugFileUnset     -               -       -
PRIDebugSet           -               -       Span:name* Level:name
PRIShowSpans          -               -       Span:name*
SIPnotify             system          speaks  Channel:name! Variable:assign
SIPpeers              system,reporting -      -
SIPpeerstatus         system          -       Peer:name*
SIPqualifypeer        system,reporting -      Peer:name
SIPshowpeer           system,reporting data   Peer:name
SIPshowregistry       system,reporting -      -
SKINNYdevices         system,reporting -      -
SKINNYlines           system,reporting -      -
SKINNYshowdevice      system,reporting -      Device:name
SKINNYshowline        system,reporting -      Line:name
# res/: parking/, res_agi.c, res_fax.c, res_manager_*.c, res_mutestream.c, res_mwi_external_ami.c
Park                  call            reach   Channel:channel! Channel2:dial TimeoutChannel:dial \
 AnnounceChannel:channel Timeout:number Parkinglot:name* ParkingSpace:name
ParkedCalls           call            -       ParkingLot:name*
Parkinglots           call            -       -
AGI                   agi             shell   Channel:channel! Command:command! CommandID:name
AOCMessage            aoc             speaks  Channel:channel
FAXSession            call            -       SessionNumber:name*
FAXSessions           call            -       -
FAXStats              reporting       -       -
DeviceStateList       call,reporting  -       -
PresenceStateList     call,reporting  -       -
MuteAudio             system          -       Channel:channel Direction:name State:name
MWIDelete             call            -       Mailbox:name*
MWIGet                call,reporting  -       Mailbox:name*
MWIUpdate             call            -       Mailbox:name* OldMessages:number NewMessages:number
# res/res_pjsip*.c
PJSIPHangup           system          -       Channel:channel! Cause:name
PJSIPNotify           system          speaks  Endpoint:name* URI:name Channel:channel Option:name \
 Variable:assign
PJSIPQualify          system,reporting -      Endpoint:name
PJSIPRegister         system,reporting config Registration:name*
PJSIPSetMaintenance   system          config  Endpoint:name State:name
PJSIPShowAors         system          -       -
PJSIPShowAuths        system          data    -
PJSIPShowContacts     system          -       -
PJSIPShowEndpoint     system          data    Endpoint:name
PJSIPShowEndpoints    system          -       -
PJSIPShowMaintenance  system          -       Endpoint:name*
PJSIPShowRegistrationInboundContactStatuses system - -
PJSIPShowRegistrationsInbound system  -       -
PJSIPShowRegistrationsOutbound system,reporting - -
PJSIPShowResourceLists system         -       -
PJSIPShowSubscriptionsInbound system  -       -
PJSIPShowSubscriptionsOutbound system -       -
PJSIPUnregister       system,reporting config Registration:name*
# res/res_sorcery_memory_cache.c, res_xmpp.c
SorceryMemoryCacheExpire       system config  Cache:name*
SorceryMemoryCacheExpireObject system config  Cache:name Object:name
SorceryMemoryCachePopulate     system config  Cache:name
SorceryMemoryCacheStale        system config  Cache:name
SorceryMemoryCacheStaleObject  system config  Cache:name Object:name Reload:text
JabberSend            system          speaks  Jabber:name JID:name! Message:text
"""
"""A line an action: its name, classes, danger, and headers with what they hold. ``!`` needs to be
there, without ``*`` it is for all; after ``=`` what of it is harmless: 1, n (digits), b (yes or
no)."""

_HARMLESS = {
    "1": re.compile("1"),
    "n": re.compile("[0-9]{1,9}"),
    "b": re.compile("true|false|yes|no|1|0", re.IGNORECASE),
}


def _forms(table: str) -> Iterator[Form]:
    source = ""
    for line in table.replace("\\\n", "").splitlines():
        if line.startswith("#"):
            source = line[2:]
        elif line:
            name, write, danger, *words = line.split()
            yield _form(name, source, write, danger, [word for word in words if word != "-"])


def _form(name: str, source: str, write: str, danger: str, words: list[str]) -> Form:
    headers, needs, widens, harmless = {}, [], set(), {}
    for word in words:
        spelt, _, rest = word.partition(":")
        holds, _, fits = rest.partition("=")
        headers[spelt.lower()] = (spelt, Holds(holds.rstrip("!*")))
        if holds.endswith("!"):
            needs.append(spelt.lower())
        if holds.endswith("*"):
            widens.add(spelt.lower())
        if fits:
            harmless[spelt.lower()] = _HARMLESS[fits]
    classes = () if write == "-" else tuple(write.split(","))
    risk = "" if danger == "-" else danger
    return Form(name, source, classes, risk, headers, tuple(needs), frozenset(widens), harmless)


FORMS: Mapping[str, Form] = {form.name.lower(): form for form in _forms(_TABLE)}
"""By the name of the action in small letters."""

_PARTS_OF_CONFIG = re.compile(r"(action|cat|var|value|match|line|options)-[0-9]{6}")


def form_of(action: str) -> Form | None:
    """What is known of an action, by its name in any case; None: Asterisk itself has none such."""
    return FORMS.get(action.lower())


def holds_of(form: Form | None, folded: str) -> Holds:
    """What a header holds. Those of an action that nobody knows count as names."""
    if form is None:
        return Holds.NAME
    if form.name == "UpdateConfig" and _PARTS_OF_CONFIG.fullmatch(folded):
        return Holds.NAME
    return form.holds(folded)
