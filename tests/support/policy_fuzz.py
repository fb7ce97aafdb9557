"""Fuzzes the actions of a role that may call two contexts: what gets past it is a fault.

The role is below in words of the configuration, and once more as what its effects may be
(`within`). An action is made, changed a few times, and asked of the policy; if that allows it, what
Asterisk would do with its bytes must be within the role.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from amiws_gevent.ami import ActionError, encode_action
from amiws_gevent.policy import Policy, Rights, Role, User
from tests.support.asterisk_actions import Effect, effects

Pairs = list[tuple[str, str]]

KEY = bytes(range(32))

CALLER = {
    "see": "everything",
    "do": [
        {
            "action": "Originate",
            "with": {
                "Channel": ["PJSIP/2??", "Local/*@internal", "{user.interface}"],
                "Context": ["internal", "outbound"],
                "Exten": ["2??", "0[1-9]*"],
                "CallerID": "*",
                "Variable": ["CUSTOMER*", "SOURCE=crm"],
                "EarlyMedia": "*",
                "Account": "*",
                "Codecs": "*",
                "ChannelId": "*",
            },
        },
        {
            "action": "Redirect",
            "with": {
                "Channel": "PJSIP/*",
                "ExtraChannel": "PJSIP/*",
                "Context": ["internal", "outbound"],
                "Exten": "2??",
                "ExtraContext": "internal",
                "ExtraExten": "2??",
            },
        },
        {"action": "Atxfer", "with": {"Channel": "PJSIP/*", "Context": "internal", "Exten": "2??"}},
        {
            "action": "BlindTransfer",
            "with": {"Channel": "*", "Context": "internal", "Exten": "2??"},
        },
        {"action": "Hangup", "with": {"Channel": "PJSIP/204"}},
        {
            "action": "QueueAdd",
            "with": {
                "Queue": "support",
                "Interface": ["PJSIP/2??", "Local/2??@internal/n"],
                "MemberName": "*",
                "Paused": "*",
            },
        },
        {
            "action": "QueuePause",
            "with": {"Queue": "support", "Interface": "{user.interface}", "Reason": "*"},
        },
        {"action": "Park", "with": {"Channel": "PJSIP/*", "TimeoutChannel": "PJSIP/2??"}},
        {
            "action": "MixMonitor",
            "with": {"Channel": "PJSIP/*", "File": "calls/*.wav", "Options": ["b", ""]},
        },
        {"action": "ConfbridgeStartRecord", "with": {"Conference": "1", "RecordFile": "calls/*"}},
        {
            "action": "Setvar",
            "with": {"Channel": "PJSIP/*", "Variable": "CUSTOMER*", "Value": "A*"},
        },
        {
            "action": "Getvar",
            "with": {"Channel": "PJSIP/*", "Variable": ["CUSTOMER*", "CHANNEL(name)"]},
        },
        {"action": "Status", "with": {"Channel": "*", "Variables": "CUSTOMER*"}},
        {"action": "Command", "with": {"Command": "queue show *"}},
        {"action": "PlayDTMF", "with": {"Channel": "PJSIP/204", "Digit": "*"}},
    ],
}
USER = {"roles": ["caller"], "interface": ["PJSIP/204", "Local/204@internal/n"]}

_PLACES = {"internal", "outbound"}
_EXTEN = re.compile(r"2[0-9A-Za-z*#+._-]{2}|0[1-9][0-9A-Za-z*#+._-]*")
_PHONE = re.compile(r"PJSIP/2[0-9A-Za-z_.+*#-]{2}")
_LIVE = re.compile(r"[Pp][Jj][Ss][Ii][Pp]/[!-+\--~]+")


def rights() -> Rights:
    """Those of a user with the role."""
    return Policy(
        {"caller": Role.model_validate(CALLER)},
        users={"bob": User.model_validate(USER)},
        tokens={},
        anonymous=(),
        servers={1: "pbx1"},
        key=KEY,
    ).rights("bob")


def within(effect: Effect) -> bool:
    """Whether the role means to allow an effect."""
    kind, *details = effect
    if kind == "place":
        context, exten, priority = details
        # Local/*@internal may be any extension there.
        fits = _EXTEN.fullmatch(exten) or (context == "internal" and exten.isascii())
        return context in _PLACES and bool(fits) and priority == "1"
    check = _WITHIN.get(kind)
    return check is not None and bool(check(details[0]))


_ALLOWED = {str(rule["action"]).lower() for rule in CALLER["do"]}  # type: ignore[index]
_WITHIN: dict[str, Callable[[str], object]] = {
    "action": _ALLOWED.__contains__,
    "dial": _PHONE.fullmatch,
    # Of BlindTransfer, PlayDTMF, Status and Hangup any channel that is there, by their own rules.
    "channel": lambda name: name.isascii() and not re.match("/|local/", name, re.I),
    "queue": {"support"}.__contains__,
    "member": lambda name: (
        name in ("PJSIP/204", "") or name.lower().startswith("local/204@internal")
    ),
    "variable": lambda name: name.startswith("CUSTOMER") or name == "SOURCE",
    "function": {"CHANNEL(name)"}.__contains__,
    "file": re.compile(r"(calls/[0-9A-Za-z_.-]*)?").fullmatch,
    "options": {"", "b"}.__contains__,
    "console": re.compile(r"queue show [0-9A-Za-z_. +:=@/-]*").fullmatch,
}

_SEEDS: Sequence[Pairs] = [
    [
        ("Action", "Originate"),
        ("Channel", "PJSIP/204"),
        ("Context", "internal"),
        ("Exten", "205"),
        ("Priority", "1"),
        ("Variable", "CUSTOMER=4711"),
    ],
    [
        ("Action", "Originate"),
        ("Channel", "Local/201@internal/n"),
        ("Context", "outbound"),
        ("Exten", "0301234567"),
        ("Async", "true"),
        ("CallerID", "Bob <204>"),
    ],
    [
        ("Action", "Redirect"),
        ("Channel", "PJSIP/204-00000001"),
        ("ExtraChannel", "PJSIP/205-00000002"),
        ("Context", "internal"),
        ("Exten", "205"),
        ("Priority", "1"),
        ("ExtraContext", "internal"),
        ("ExtraExten", "206"),
        ("ExtraPriority", "1"),
    ],
    [
        ("Action", "Atxfer"),
        ("Channel", "PJSIP/204-00000001"),
        ("Context", "internal"),
        ("Exten", "205"),
    ],
    [
        ("Action", "BlindTransfer"),
        ("Channel", "PJSIP/204-00000001"),
        ("Context", "internal"),
        ("Exten", "205"),
    ],
    [("Action", "Hangup"), ("Channel", "PJSIP/204-0000000a")],
    [("Action", "QueueAdd"), ("Queue", "support"), ("Interface", "Local/204@internal/n")],
    [
        ("Action", "QueueAdd"),
        ("Queue", "support"),
        ("Interface", "PJSIP/204"),
        ("MemberName", "Bob"),
    ],
    [("Action", "QueuePause"), ("Queue", "support"), ("Interface", "PJSIP/204"), ("Reason", "x")],
    [("Action", "Park"), ("Channel", "PJSIP/204-00000001"), ("TimeoutChannel", "PJSIP/205")],
    [
        ("Action", "MixMonitor"),
        ("Channel", "PJSIP/204-00000001"),
        ("File", "calls/a.wav"),
        ("Options", "b"),
    ],
    [("Action", "ConfbridgeStartRecord"), ("Conference", "1"), ("RecordFile", "calls/c.wav")],
    [
        ("Action", "Setvar"),
        ("Channel", "PJSIP/204-00000001"),
        ("Variable", "CUSTOMER"),
        ("Value", "A1"),
    ],
    [("Action", "Getvar"), ("Channel", "PJSIP/204-00000001"), ("Variable", "CHANNEL(name)")],
    [("Action", "Status"), ("Channel", "PJSIP/204-00000001"), ("Variables", "CUSTOMER,CUSTOMERS")],
    [("Action", "Command"), ("Command", "queue show support")],
    [("Action", "PlayDTMF"), ("Channel", "PJSIP/204-00000001"), ("Digit", "1")],
]

_TEXTS: Sequence[str] = [
    *("Local/666@evil", "local/666@evil/n", "LOCAL/666@evil", "Local/666", "Local/1@internal@evil"),
    *(
        "Local/666@evil/n@internal",
        "Local/1@internal/n/x@evil",
        "Local/a/b@internal",
        "Local/@internal",
    ),
    *(
        "L\u043ecal/666@internal",
        "\uff2cocal/666@evil",
        "Local/666@evil-00000001;1",
        " Local/666@evil",
    ),
    *("PJSIP/204&Local/666@evil", "PJSIP/204,20", "PJSIP/+44900@trunk", "PJSIP/204/sip:x@evil"),
    *(
        "PJSIP/204\tLocal/666@evil",
        "pjsip/204",
        "SIP/204",
        "PJSIP/2\u0660\u0664",
        "IAX2/u:p@evil/s",
        "/PJSIP.*/",
    ),
    *(
        "evil",
        "Internal",
        "internal ",
        "\x01internal",
        "internal,evil",
        "internal\x7f",
        "\u0456nternal",
        "",
    ),
    *(
        "666",
        "2\u0660\u0665",
        "205&666",
        "205,1",
        "h",
        "s",
        "${EXTEN}",
        "$[1+1]",
        "2" * 300,
        "_2XX",
        "0900",
        "2 5",
    ),
    *(
        "${SHELL(id)}",
        "SHELL(id)",
        "FILE(/etc/passwd)=x",
        "__CUSTOMER=1",
        "_CUSTOMER",
        "CUSTOMER,EVIL",
    ),
    *("CUSTOMER=1,EVIL=2", 'CUSTOMER="1,EVIL=2', "CUSTOMER=(1,EVIL=2)", r"CUSTOMER=1\,EVIL=2"),
    *("CUSTOMER=1,SHELL(id)=2", "TRANSFER_CONTEXT=evil", "CUSTOMER_CONTEXT=evil", "SOURCE=evil"),
    *("CUSTOMER", "CUSTOMER=${SHELL(id)}", " EVIL=1", "CUSTOMER=1, EVIL=2", "=x,EVIL=1", "EVIL"),
    *("CUSTOMER\u017f", "CUSTOMER\u212a", "DB(a/b)", "CHANNEL(name)", "CHANNEL(name),SHELL(id)"),
    *(
        "calls/a.wav,b,id",
        "calls/../x.wav",
        "/etc/x.wav",
        "calls/a,,id",
        "calls/a.wav,",
        "b,id",
        "r(/x)",
    ),
    *("CUSTOMER=1|EVIL=2", "CUSTOMER=1&EVIL=2", "CUSTOMER=\u202e1", "CUSTOMER[1]=2", "^CUSTOMER=1"),
    *("DAHDI/g1/0900", "PJSIP/2;1", "Message/ast_msg_queue", "PJSIP//2@evil", "Local/2", "PJSIP"),
    *("Local/205@internal/../evil", "Local/205@internal;2@evil", "Local/205%40evil@internal"),
    *("queue show x\r\nAction: Logoff", "queue show ;id", "queue show $(id)", "module load x"),
    *(
        "a\r\n\r\nAction: Command\r\nCommand: core stop now",
        "a\nChannel: Local/666@evil",
        "internal\0evil",
    ),
    *("2", "1,666", "n", "evil-label", "-1", "true", "x" * 200, "Local/" + "2" * 260 + "@internal"),
    *(
        "Local/2" + "0" * 78 + "0@internal",
        "Local/1@" + "internal" * 12,
        "PJSIP/204-00000001;1",
        "*",
    ),
]

_HEADERS: Sequence[str] = [
    *("Application", "Data", "PreDialGoSub", "Variable", "Codecs", "ChannelId", "OtherChannelId"),
    *("Context", "Exten", "Priority", "Channel", "ExtraContext", "ExtraExten", "ExtraPriority"),
    *(
        "ExtraChannel",
        "Command",
        "File",
        "Options",
        "Interface",
        "StateInterface",
        "TimeoutChannel",
    ),
    *(
        "Channel2",
        "Value",
        "Variables",
        "RecordFile",
        "Queue",
        "ActionID",
        "Action",
        "Async",
        "Timeout",
    ),
    *(
        "Channel ",
        " Channel",
        "Channel\t",
        "Channel:",
        "\uff23hannel",
        "Context\0",
        "Account",
        "Digit",
    ),
]
_ACTIONS: Sequence[str] = [
    *(
        "Originate",
        "ORIGINATE",
        " originate",
        "Orig\u0131nate",
        "Redirect",
        "Command",
        "UpdateConfig",
    ),
    *(
        "Setvar",
        "DBPut",
        "AGI",
        "ModuleLoad",
        "QueueAdd",
        "Status",
        "GetConfig",
        "DialplanExtensionAdd",
    ),
    *("Originate ", "Originate\x00", "", "MessageSend", "ConfbridgeStartRecord", "BlindTransfer"),
]


def _cased(random: Random, text: str) -> str:
    return "".join(random.choice((sign.upper(), sign.lower(), sign)) for sign in text)


def _spliced(random: Random, text: str) -> str:
    at = random.randint(0, len(text))
    extra = random.choice(
        ["&", ",", "/", "@", "@evil", "/n", " ", "\t", ";1", "${x}", "-0000000a", '"']
    )
    return text[:at] + extra + text[at + random.randint(0, 2) :]


def changed(random: Random, pairs: Pairs) -> Pairs:
    """The action with one thing about it changed."""
    made = list(pairs)
    place = random.randrange(len(made))
    name, value = made[place]
    match random.randrange(9):
        case 0:
            made[place] = (_cased(random, name), value)
        case 1:
            made[place] = (name, _cased(random, value))
        case 2:
            made[place] = (name, random.choice(_TEXTS))
        case 3:
            made[place] = (name, _spliced(random, value))
        case 4:
            made.insert(place, (random.choice(_HEADERS), random.choice(_TEXTS)))
        case 5:
            made.insert(random.randint(0, len(made)), (name, random.choice(_TEXTS)))
        case 6:
            del made[place]
        case 7:
            made[place] = (name, random.choice(["", " ", "\x01", "\u00a0"]) + value)
        case _:
            made[0] = ("Action", random.choice(_ACTIONS))
    return made or list(pairs)


def action(random: Random) -> Pairs:
    """An action that is right, changed up to four times."""
    pairs = list(random.choice(_SEEDS))
    for _ in range(random.randint(0, 4)):
        pairs = changed(random, pairs)
    return pairs


def text(random: Random) -> str:
    """A value for any header."""
    return random.choice(_TEXTS)


Allows = Callable[[Pairs], bool]


def hole(pairs: Pairs, allows: Allows) -> Effect | None:
    """What an action does that its role does not mean, although it is allowed; None: nothing."""
    if not allows(pairs):
        return None
    try:
        data = encode_action(pairs)
    except ActionError:
        return None  # nothing of it is sent
    return next((effect for effect in sorted(effects(data)) if not within(effect)), None)
