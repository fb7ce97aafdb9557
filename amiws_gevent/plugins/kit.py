"""Tools that plugins share with the program; take what helps, none has to be used.

`Backoff`
    How long to wait before the next attempt to reach something that is away.
`LogLimiter`
    A line in the log for what may come with every message: one in a while, and how many
    like it were left out.
"""

from amiws_gevent.runtime.backoff import Backoff
from amiws_gevent.runtime.log import LogLimiter

__all__ = ["Backoff", "LogLimiter"]
