"""Takes one batch to the receiver of the settings, with the headers that say what it is."""

from __future__ import annotations

import time
from collections.abc import Callable

from amiws_gevent.plugins.kit import in_thread

from .answer import Answer
from .body import JSON
from .client import Client
from .outbox import Batch
from .settings import Settings
from .signing import Key


class Courier:
    """Delivers batches. Knows all that is secret, and keeps it out of what it describes.

    ``now`` is the time of day (Unix). Raises ValueError as `renew` does.
    """

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._now = now
        self._fixed = _fixed_headers(settings)
        self._key: Key | None
        self._client: Client
        self.renew()

    def renew(self) -> None:
        """Read the key and the authorities from their files again.

        Raises ValueError with what is wrong with one of them; nothing has changed then.
        """
        settings = self._settings
        key = settings.signing_key()
        context = in_thread(settings.tls)  # the system's authorities take some 30 ms
        before = getattr(self, "_client", None)
        self._key = key
        self._client = Client(
            settings.url,
            connect_timeout=settings.connect_timeout,
            timeout=settings.timeout,
            context=context,
        )
        if before is not None:
            before.close()

    def deliver(self, batch: Batch) -> Answer:
        """POST it once. A repeat has the same id and body, but a new time. Raises NoAnswer."""
        body = batch.body() if self._settings.body is None else batch.messages[0]
        timestamp = str(int(self._now()))
        headers = {
            **self._fixed,
            "X-Amiws-Delivery": batch.id,
            "X-Amiws-Timestamp": timestamp,
        }
        if self._key is not None:
            headers["X-Amiws-Signature"] = self._key.signature(timestamp, body)
            headers["webhook-id"] = batch.id
            headers["webhook-timestamp"] = timestamp
            headers["webhook-signature"] = self._key.standard_signature(batch.id, timestamp, body)
        return self._client.post(body, headers)

    def pause(self, answer: Answer) -> float:
        """Seconds that the answer asks to be left alone for."""
        return answer.pause(self._now())

    def describe(self, answer: Answer) -> str:
        """The answer in one line for the log, without what it may have echoed."""
        return answer.describe(self._hidden())

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _hidden(self) -> list[str]:
        values = [value.get_secret_value() for value in self._settings.headers.values()]
        if self._settings.url.authorization is not None:
            values.append(self._settings.url.authorization)
        tokens = [value.split()[-1] for value in values]  # Bearer, Basic ... and then the secret
        key = [] if self._key is None else self._key.texts()
        return [*self._settings.url.secrets(), *values, *tokens, *key]


def _fixed_headers(settings: Settings) -> dict[str, str]:
    """Those of every request; the operator's replace Content-Type and User-Agent."""
    given = {name: value.get_secret_value() for name, value in settings.headers.items()}
    names = {name.lower() for name in given}
    content_type = JSON if settings.body is None else settings.body.content_type
    ours = {"Content-Type": content_type, "User-Agent": "amiws-gevent"}
    if settings.url.authorization is not None:
        ours["Authorization"] = settings.url.authorization
    return {name: value for name, value in ours.items() if name.lower() not in names} | given
