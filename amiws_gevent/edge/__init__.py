"""An edge: it serves clients with what a collector tells it over the bus, and has no AMI links.

mirror.py     the state of a server, as the collector shows it
following.py  what is told on the streams, and when it is no longer up to date
"""
