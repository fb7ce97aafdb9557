"""amiws-gevent: Asterisk Manager Interface events as JSON to every browser."""

__version__ = "1.0.0"
