"""What an Asterisk would do with the bytes of an action, as its source says: for the fuzzer.

Written after ``main/manager.c``, ``main/core_local.c``, ``main/app.c`` and the modules of the
actions, and not after the policy, which it is compared with. An effect is a kind and its details:

    place CONTEXT EXTEN PRIORITY    a call is led there, or a hint of it run ("?" is where it is)
    dial TEXT                       a channel is called that is no Local one
    channel NAME                    something is done to a channel
    queue NAME ("*": all), application, data, gosub, shell, console, agi, variable, function, file,
    options, database, config, dialplan, message
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Effect = tuple[str, ...]

_TRUE = {"yes", "true", "y", "t", "1", "on"}


class Headers:
    """The headers of one action, as the parser of a server has them."""

    def __init__(self, data: bytes) -> None:
        self.lines: list[bytes] = []
        for line in re.split(rb"\r\n|\n", data):
            if not line:
                break
            self.lines.append(line.partition(b"\0")[0])

    def all(self, name: str) -> list[bytes]:
        """The values of a header: names in any case of ASCII, bytes to 0x20 skipped."""
        found = []
        for line in self.lines:
            if line[: len(name)].lower() == name.lower().encode() and (
                line[len(name) : len(name) + 1] == b":"
            ):
                found.append(line[len(name) + 1 :].lstrip(bytes(range(0x21))))
        return found

    def get(self, name: str) -> str:
        """The first value, "" without one."""
        values = self.all(name)
        return values[0].decode("utf-8", "replace") if values else ""


def effects(data: bytes) -> set[Effect]:
    """All that the action in these bytes does that a role should have a say in."""
    headers = Headers(data)
    actions = [value for value in headers.all("Action") if value]
    action = actions[0].decode("utf-8", "replace").lower() if actions else ""
    act = _ACTIONS.get(action)
    if act is None:
        return {("other", action)}
    return {("action", action), *act(headers)}


def dial(text: str, size: int = 256) -> Iterator[Effect]:
    """What calling a dial string does, which is copied into so many bytes."""
    text = text.encode()[: size - 1].decode("utf-8", "replace")
    technology, slash, rest = text.partition("/")
    if not slash:
        return
    if technology.lower() != "local":
        yield "dial", text
        return
    before, options, _ = rest.rpartition("/")
    parse = before if options else rest
    exten, at, context = parse.partition("@")
    yield "place", (context[:79] if at and context else "default"), exten[:79], "1"


def variables(headers: Headers) -> Iterator[Effect]:
    """The variables that the headers ``Variable`` set."""
    for value in headers.all("Variable"):
        for item in app_args(value.decode("utf-8", "replace")):
            name, equals, _ = item.partition("=")
            if equals and name:
                yield from variable(name)


def variable(name: str) -> Iterator[Effect]:
    """Setting or reading one: with a bracket at its end it is a function."""
    yield ("function", name) if "(" in name else ("variable", name.lstrip("_"))
    if name.startswith("_"):
        yield "inherits", name


def app_args(text: str) -> list[str]:
    """Arguments with commas between, but not in brackets and quotes: ``main/app.c``."""
    found, depth, quoted, now = [], 0, False, ""
    at = 0
    while at < len(text):
        sign = text[at]
        if sign == "(":
            depth += 1
        elif sign == ")":
            depth = max(0, depth - 1)
        if sign == '"':
            quoted = not quoted
        elif sign == "\\":
            at += 1
            now += text[at : at + 1]
        elif sign == "," and not depth and not quoted:
            found.append(now)
            now = ""
        else:
            now += sign
        at += 1
    return [*found, now]


def _where(headers: Headers, prefix: str = "") -> Effect:
    return (
        "place",
        headers.get(f"{prefix}Context")[:79] or "?",
        headers.get(f"{prefix}Exten")[:79],
        headers.get(f"{prefix}Priority") or "1",
    )


def _originate(headers: Headers) -> Iterator[Effect]:
    if "/" not in headers.get("Channel"):
        return
    yield from dial(headers.get("Channel"))
    if headers.get("Application"):
        yield "application", headers.get("Application").lower()
        yield "data", headers.get("Data")
    if headers.get("Exten") or headers.get("Context"):
        yield _where(headers)
    if headers.get("PreDialGoSub"):
        yield "gosub", headers.get("PreDialGoSub")
    yield from variables(headers)


def _redirect(headers: Headers) -> Iterator[Effect]:
    yield "channel", headers.get("Channel")
    yield _where(headers)
    if headers.get("ExtraChannel"):
        yield "channel", headers.get("ExtraChannel")
        if headers.get("ExtraContext"):
            yield _where(headers, "Extra")


def _transfer(headers: Headers) -> Iterator[Effect]:
    yield "channel", headers.get("Channel")
    yield "place", headers.get("Context") or "?", headers.get("Exten"), "1"


def _hangup(headers: Headers) -> Iterator[Effect]:
    yield "channel", headers.get("Channel")


def _queue_add(headers: Headers) -> Iterator[Effect]:
    yield "queue", headers.get("Queue")
    yield from dial(headers.get("Interface"))


def _queue_pause(headers: Headers) -> Iterator[Effect]:
    yield "queue", headers.get("Queue") or "*"
    yield "member", headers.get("Interface")


def _park(headers: Headers) -> Iterator[Effect]:
    yield "channel", headers.get("Channel")
    yield from dial(headers.get("TimeoutChannel") or headers.get("Channel2"))


def _mix_monitor(headers: Headers) -> Iterator[Effect]:
    yield "channel", headers.get("Channel")
    joined = ",".join(headers.get(name) for name in ("File", "Options", "Command"))
    parts = app_args(joined)
    yield "file", parts[0]
    yield "options", parts[1] if len(parts) > 1 else ""
    command = ",".join(parts[2:])
    if command:
        yield "shell", command


def _record(headers: Headers) -> Iterator[Effect]:
    parts = app_args(headers.get("RecordFile"))
    yield "file", parts[0]
    if any(parts[1:]):
        yield "shell", ",".join(parts[1:])


def _setvar(headers: Headers) -> Iterator[Effect]:
    yield "channel", headers.get("Channel") or "*"
    yield from variable(headers.get("Variable"))


def _status(headers: Headers) -> Iterator[Effect]:
    for name in headers.get("Variables").split(","):
        if name:
            yield from variable(name)


def _single(kind: str, *names: str):  # type: ignore[no-untyped-def]
    def act(headers: Headers) -> Iterator[Effect]:
        yield (kind, *(headers.get(name) for name in names))

    return act


def _dialplan(headers: Headers) -> Iterator[Effect]:
    yield "dialplan", headers.get("Context")


_ACTIONS = {
    "originate": _originate,
    "redirect": _redirect,
    "atxfer": _transfer,
    "blindtransfer": _transfer,
    "hangup": _hangup,
    "queueadd": _queue_add,
    "queuepause": _queue_pause,
    "park": _park,
    "mixmonitor": _mix_monitor,
    "confbridgestartrecord": _record,
    "setvar": _setvar,
    "getvar": _setvar,
    "status": _status,
    "command": _single("console", "Command"),
    "agi": _single("agi", "Command"),
    "dbput": _single("database", "Family"),
    "dbdeltree": _single("database", "Family"),
    "updateconfig": _single("config", "SrcFilename"),
    "getconfig": _single("config", "Filename"),
    "moduleload": _single("config", "Module"),
    "dialplanextensionadd": _dialplan,
    "messagesend": _single("message", "To"),
    "playdtmf": _hangup,
}
