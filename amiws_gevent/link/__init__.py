"""AMI connections: one `Link` a server, which connects, logs in and keeps itself up.

link.py      states, back-off, what is logged; the only public part
session.py   one connection: login, messages, keep-alive
pending.py   what was asked on it and is not yet answered
query.py     a question of the program's own, and its answer
holdup.py    how long the server may be silent over an action
login.py     the login as a state machine, without I/O
wire.py      a socket without blocking calls and its bounded send buffer
dial.py      addresses and time limits up to a connected socket
tls.py       certificates, verification, fingerprints
resolve.py   names to addresses
"""

from .link import Link, LinkState, Timings
from .query import Answer

__all__ = ["Answer", "Link", "LinkState", "Timings"]
