"""AMI servers that are no Asterisk: simulated PBXs, and recordings played back.

``serving`` is what both stand on. ``pbx`` is a PBX that makes calls by itself
(``python -m amiws_gevent.simulator``), ``demo`` those of ``--demo``; ``replay`` plays journals
and captures (``python -m amiws_gevent.simulator.replay``).
"""
