"""What both ends of a phone's sound report of it: RTCP, and so what a wallboard calls quality.

Events are those of ``res/res_rtp_asterisk.c`` and ``main/rtp_engine.c`` (``rtcp_report_to_ami``).
"""

from __future__ import annotations

from zlib import crc32

from amiws_gevent.simulator.pbx.model import Channel
from amiws_gevent.simulator.pbx.phones import address
from amiws_gevent.simulator.pbx.switch import Switch

_BAD = 6  # one line in so many is bad enough to be seen
_CLOCK = 8000  # units of jitter a second


def report(switch: Switch, channel: Channel) -> None:
    """One report of each end: loss in 256ths, jitter, and the time of a round trip."""
    if not channel.name.startswith(("SIP/", "PJSIP/")):
        return  # Local channels and IAX2 have no RTP
    rng, serial = switch.rng, _number_of(channel.uniqueid)
    bad = serial % _BAD == 0
    where = f"{address(channel.device)}:{10000 + 2 * (serial % 5000)}"
    for name in ("RTCPSent", "RTCPReceived"):
        lost = rng.randrange(6, 30) if bad else rng.choice((0, 0, 0, 1))
        jitter = rng.randrange(150, 500) if bad else rng.randrange(4, 40)
        delay = rng.uniform(0.15, 0.35) if bad else rng.uniform(0.012, 0.06)
        if switch.style.stasis:
            way = "To" if name == "RTCPSent" else "From"
            body = channel.headers() + _body(f"{way}: {where}", serial, lost, jitter, delay)
        elif name == "RTCPSent":
            body = _sent_by_11(where, serial, lost, jitter)
        else:
            body = _received_by_11(where, serial, lost, jitter)
        switch.out.append(f"Event: {name}\r\nPrivilege: reporting,all\r\n{body}\r\n")


def _number_of(uniqueid: str) -> int:
    """The same in each run."""
    return crc32(uniqueid.encode(errors="surrogateescape"))


def _body(head: str, serial: int, lost: int, jitter: int, delay: float) -> str:
    return (
        f"{head}\r\nRTT: {delay:.4f}\r\nSSRC: 0x{serial:08x}\r\nPT: 200(SR)\r\n"
        "ReportCount: 1\r\nSentNTP: 1700000000.12345678\r\nSentRTP: 16000\r\n"
        "SentPackets: 250\r\nSentOctets: 40000\r\n"
        f"Report0SourceSSRC: 0x{serial ^ 0xFFFF:08x}\r\nReport0FractionLost: {lost}\r\n"
        f"Report0CumulativeLost: {lost}\r\nReport0HighestSequence: 250\r\n"
        f"Report0SequenceNumberCycles: 0\r\nReport0IAJitter: {jitter}\r\n"
        "Report0LSR: 0\r\nReport0DLSR: 0.0000\r\n"
    )


def _sent_by_11(where: str, serial: int, lost: int, jitter: int) -> str:
    """Branch 11, ``ast_rtcp_write_sr``."""
    return (
        f"To: {where}\r\nOurSSRC: {serial}\r\nSentNTP: 1700000000.1234567890\r\n"
        "SentRTP: 16000\r\nSentPackets: 250\r\nSentOctets: 40000\r\nReportBlock: \r\n"
        f"FractionLost: {lost}\r\nCumulativeLoss: {lost}\r\n"
        f"IAJitter: {jitter / _CLOCK:.4f}\r\nTheirLastSR: 0\r\nDLSR: 0.0000 (sec)\r\n"
    )


def _received_by_11(where: str, serial: int, lost: int, jitter: int) -> str:
    """Branch 11, ``ast_rtcp_read``."""
    return (
        f"From: {where}\r\nPT: 200(Sender Report)\r\nReceptionReports: 1\r\n"
        f"SenderSSRC: {serial}\r\nFractionLost: {lost}\r\nPacketsLost: {lost}\r\n"
        "HighestSequence: 250\r\nSequenceNumberCycles: 0\r\n"
        f"IAJitter: {jitter}\r\nLastSR: 0.0000000000\r\nDLSR: 0.0000(sec)\r\n"
    )
