"""AMI connections: one `Link` a server, which connects, logs in and keeps itself up.

link.py      states, back-off, what is logged; the only public part
session.py   one connection: login, messages, keep-alive
login.py     the login as a state machine, without I/O
wire.py      a socket without blocking calls and its bounded send buffer
dial.py      addresses and time limits up to a connected socket
tls.py       certificates, verification, fingerprints
resolve.py   names to addresses
"""

from .link import Link, LinkState, Timings

__all__ = ["Link", "LinkState", "Timings"]
