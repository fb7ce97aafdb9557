"""``amiws-gevent`` and ``python -m amiws_gevent``: patch first, then everything else."""

from __future__ import annotations

import faulthandler
import sys

STDERR = 2


def main() -> int:
    """Run the program with the words of the process; returns the exit status."""
    from amiws_gevent.runtime.descriptors import open_standard_streams
    from amiws_gevent.runtime.signals import Signals

    open_standard_streams()
    faulthandler.enable(STDERR)  # systemd ends a program that hangs by SIGABRT
    signals = Signals()
    signals.take()

    from gevent import monkey

    monkey.patch_all()

    from amiws_gevent import cli  # after the patch, as is all that it imports

    return cli.main(signals=signals)


if __name__ == "__main__":
    sys.exit(main())
