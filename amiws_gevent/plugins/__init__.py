"""Plugins while they run: called through typed methods, their faults contained.

manager.py   the running plugins, one method for each hook; the only public part
chain.py     messages through filters and transforms
logqueue.py  the queue and greenlet of one plugin's log hooks
spent.py     what a call has computed and waited
guard.py     faults and overruns: counted, named, told once a minute
"""

from .manager import Plugins, RunningPlugin

__all__ = ["Plugins", "RunningPlugin"]
