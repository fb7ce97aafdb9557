"""``amiws-gevent`` and ``python -m amiws_gevent``: patch first, then everything else."""

from __future__ import annotations

import faulthandler
import gc
import sys

STDERR = 2


def main() -> int:
    """Run the program with the words of the process; returns the exit status."""
    from amiws_gevent.runtime.descriptors import open_standard_streams
    from amiws_gevent.runtime.patching import patch_all
    from amiws_gevent.runtime.signals import Signals

    # What is imported stays: collections would look through it again and again, for nothing.
    # `serve` enables them; whatever else the program can be asked for is short.
    gc.disable()
    open_standard_streams()
    faulthandler.enable(STDERR)  # systemd ends a program that hangs by SIGABRT
    signals = Signals()
    signals.take()

    patch_all()

    from amiws_gevent import cli  # after the patch, as is all that it imports
    from amiws_gevent.runtime.threads import limit_exit

    status = cli.main(signals=signals)
    limit_exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
