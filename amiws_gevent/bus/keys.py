"""The names of the keys in Redis. docs/redis.md has the same list, for ACLs and for people."""

from __future__ import annotations


def field(lease: str) -> str:
    """The field of a lease in the hash `Keys.leases`: its fence, term and holder."""
    return f"f:{lease}"


class Keys:
    """The keys of collectors and their edges; all begin with ``{prefix}:``.

    The braces make one hash slot of all, so that a script may have any of them in a Redis Cluster.
    A prefix with braces of its own stays as it is.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = (f"{prefix}:" if "{" in prefix else f"{{{prefix}}}:").encode()
        self.leases = self._named(b"leases")
        """A hash: who has which lease, until when. What is written under another term is
        refused."""
        self.members = self._named(b"members")
        """A hash: which collectors there are, and what they would like to have."""
        self.slot = self._named(b"slot")
        """Never written: a node of a cluster that does not have the keys says at it who has."""

    def stream(self, name: str) -> bytes:
        """The entries of a stream, as a stream of Redis."""
        return self._named(b"stream:" + name.encode())

    def about(self, name: str) -> bytes:
        """A hash: where the stream stands, and its newest snapshot."""
        return self._named(b"about:" + name.encode())

    def calls(self, lease: str) -> bytes:
        """A stream: questions that who has the lease has not taken yet."""
        return self._named(b"calls:" + lease.encode())

    def calls_bytes(self, lease: str) -> bytes:
        """How many bytes these have."""
        return self._named(b"calls-bytes:" + lease.encode())

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
