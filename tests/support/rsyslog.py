"""A real rsyslogd as a child process: its own configuration, folder, sockets and ports.

It takes lines on a local socket, UDP, TCP and TLS, takes each apart with its parser for
RFC 5424, and writes what it found as one JSON object a line. It can be stopped,
killed, frozen and started again with the same addresses. The system's own syslog daemon
is not touched.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.certificates import Certificate, make_certificate
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import wait_until

# Debian keeps it where only root looks.
PROGRAM = shutil.which("rsyslogd") or "/usr/sbin/rsyslogd"

_PROPERTIES = {
    "pri": "pri",
    "version": "protocol-version",
    "hostname": "hostname",
    "app_name": "app-name",
    "procid": "procid",
    "msgid": "msgid",
    "sd": "structured-data",
    "msg": "msg",
    "raw": "rawmsg",
    "input": "inputname",
}

_CONFIGURATION = """\
global(
    workDirectory="{folder}"
    maxMessageSize="64k"
    shutdown.queue.doublesize="on"
    defaultNetstreamDriverCAFile="{ca}"
    defaultNetstreamDriverCertFile="{cert}"
    defaultNetstreamDriverKeyFile="{key}"
)
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="{auth}")
module(load="mmpstrucdata")
template(name="parsed" type="list" option.jsonf="on") {{
{properties}
    property(outname="timestamp" name="timestamp" dateFormat="rfc3339" format="jsonf")
    property(outname="parameters" name="$!rfc5424-sd" format="jsonf")
}}
input(type="imuxsock" Socket="{socket}" useSpecialParser="off" parseHostname="on"
      ignoreTimestamp="off" rateLimit.Interval="0")
input(type="imudp" address="127.0.0.1" port="{udp}")
input(type="imptcp" address="127.0.0.1" port="{tcp}")
input(type="imtcp" address="127.0.0.1" port="{tls}")
action(type="mmpstrucdata" sd_name.lowercase="off")
action(type="omfile" file="{output}" template="parsed")
"""


class Rsyslog:
    """The daemon. Use as a context manager: it takes lines when the block begins.

    ``client_ca``: over TLS only clients with a certificate of that authority are taken.
    """

    def __init__(self, folder: Path, client_ca: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.socket = folder / "log"
        self.output = folder / "lines.json"
        self.certificate: Certificate = make_certificate(folder, "localhost", "127.0.0.1")
        self.udp = _free_udp_port()
        self.tcp = free_port()
        self.tls = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._write_configuration(client_ca)

    def _write_configuration(self, client_ca: Path | None) -> None:
        properties = "\n".join(
            f'    property(outname="{ours}" name="{theirs}" format="jsonf")'
            for ours, theirs in _PROPERTIES.items()
        )
        text = _CONFIGURATION.format(
            folder=self.folder,
            ca=client_ca or self.certificate.ca,
            cert=self.certificate.cert,
            key=self.certificate.key,
            auth="x509/certvalid" if client_ca else "anon",
            properties=properties,
            socket=self.socket,
            udp=self.udp,
            tcp=self.tcp,
            tls=self.tls,
            output=self.output,
        )
        (self.folder / "rsyslog.conf").write_text(text)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        if error is not None:
            print((self.folder / "rsyslog.log").read_text(errors="replace"))

    def start(self) -> None:
        """Run it until it takes lines everywhere."""
        options = ["-n", "-f", self.folder / "rsyslog.conf", "-i", self.folder / "pid"]
        with (self.folder / "rsyslog.log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, *map(str, options)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._listens, f"rsyslogd listens; see {self.folder / 'rsyslog.log'}")

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "rsyslog.log").read_text()
        return (
            self.socket.exists() and _bound(self.udp) and _listens(self.tcp) and _listens(self.tls)
        )

    def stop(self) -> None:
        """End it as the system does; it writes out what it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, if it runs; a line of which it had written a part is lost."""
        self._end(signal.SIGKILL)
        if self.output.exists():
            os.truncate(self.output, self.output.read_bytes().rfind(b"\n") + 1)

    def freeze(self) -> None:
        """It takes nothing, and closes nothing, until `thaw`."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(WAIT)
            self.process = None

    def target(self, kind: str) -> str:
        """What stands after ``to:`` for one of its inputs: local, udp, tcp or tls."""
        if kind == "local":
            return str(self.socket)
        return f"{kind}://127.0.0.1:{getattr(self, kind)}"

    @property
    def written(self) -> bytes:
        """Whole lines of its file so far."""
        if not self.output.exists():
            return b""
        return self.output.read_bytes().rpartition(b"\n")[0]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every line that it wrote so far, taken apart by it."""
        return [_parsed(line) for line in self.written.split(b"\n") if line]


def _parsed(text: bytes) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(text)
    line["parameters"] = json.loads(line["parameters"] or "{}")
    return line


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _bound(port: int) -> bool:
    """Whether somebody has the UDP port, found out without touching it."""
    rows = [row.split() for row in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return any(row[1] == f"0100007F:{port:04X}" for row in rows)


def _listens(port: int) -> bool:
    """Whether a connection to the TCP port is taken. The kernel's list is of all connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", 0))  # else it may, by chance, connect to itself
        return probe.connect_ex(("127.0.0.1", port)) == 0
