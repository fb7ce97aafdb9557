"""The live state of each server: fed by its link, kept right by asking.

state.py         all servers, as links come, change and go; ticks, the file of the figures
liveserver.py    one server: its model, its store, what lists have put right
proxy.py         server 0, the program itself, in whose store each server is an entity
synchroniser.py  asks one server, while it is connected
questions.py     what is asked, and what it needs
permissions.py   what an AMI user may ask, and what manager.conf lacks
figuresfile.py   keeps the queues' figures over a restart
check.py         what ``--check --connect`` finds out
"""

from .liveserver import FollowedServer, LiveServer
from .state import LiveState

__all__ = ["FollowedServer", "LiveServer", "LiveState"]
