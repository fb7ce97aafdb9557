"""amiws-gevent: Asterisk Manager Interface events as JSON to every browser."""

__version__ = "0.1.0"
