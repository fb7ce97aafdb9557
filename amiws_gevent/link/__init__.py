"""AMI connections: one `Link` per server, which connects, logs in and reconnects.

link.py      states, back-off, what is logged; the only public part
session.py   one connection: login, messages, keep-alive
pending.py   the actions sent on it that are not yet answered
query.py     an action of the program's own, and its answer
holdup.py    how long the server may be silent over an action
login.py     the login as a state machine, without I/O
wire.py      a socket without blocking calls and its bounded send buffer
dial.py      addresses and time limits up to a connected socket
tls.py       certificates, verification, fingerprints
resolve.py   names to addresses
"""

from .link import Link, LinkState, Timings
from .query import Answer, AnswerLost

__all__ = ["Answer", "AnswerLost", "Link", "LinkState", "Timings"]
