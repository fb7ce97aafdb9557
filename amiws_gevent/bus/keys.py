"""The names of the keys in Redis. docs/redis.md has the same list, for ACLs and for people."""

from __future__ import annotations


class Keys:
    """The keys of one collector and its edges; all begin with ``prefix`` and a colon."""

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}:".encode()
        self.lease = self._named(b"lease")
        """Who has the lease, while it lasts: the fence, see below."""
        self.fence = self._named(b"fence")
        """Term and holder of the newest lease. What is written under another one is refused."""
        self.calls = self._named(b"calls")
        """A stream: questions that the collector has not taken yet."""
        self.calls_bytes = self._named(b"calls-bytes")
        """How many bytes these have."""

    def stream(self, name: str) -> bytes:
        """The entries of a stream, as a stream of Redis."""
        return self._named(b"stream:" + name.encode())

    def about(self, name: str) -> bytes:
        """A hash: where the stream stands, and its newest snapshot."""
        return self._named(b"about:" + name.encode())

    def answers(self, edge: str) -> bytes:
        """A stream: answers that an edge has not read yet."""
        return self._named(b"answers:" + edge.encode())

    def answers_bytes(self, edge: str) -> bytes:
        """How many bytes these have."""
        return self._named(b"answers-bytes:" + edge.encode())

    def shared(self, name: str) -> bytes:
        """What edges have in common: logins, logouts, limits, lists."""
        return self._named(b"shared:" + name.encode())

    def _named(self, name: bytes) -> bytes:
        return self._prefix + name
