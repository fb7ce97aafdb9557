"""A recording played back as an AMI server: ``python -m amiws_gevent.simulator.replay FILE``.

For support (what happened at a site, seen again elsewhere) and for authors of
dashboards (the same calls again and again, without a PBX).
"""
