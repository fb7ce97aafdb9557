"""What a valid configuration has that is probably not meant: warnings of the start and --check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from amiws_gevent.config import files, units
from amiws_gevent.config.fields import BOTH
from amiws_gevent.config.granted import role_advice
from amiws_gevent.config.model import Settings
from amiws_gevent.config.problems import Place
from amiws_gevent.config.suggest import unknown_event
from amiws_gevent.values import Scalar, shown

SMALL_AUDIT = 64 * 1024
"""Bytes; a smaller max_size was meant in another unit."""


def advice_on(settings: Settings, raw: Mapping[str, object]) -> Iterable[tuple[Place, str]]:
    """What is allowed and yet probably not meant, each at the place of its key."""
    yield from _public_secrets(settings, raw)
    names: dict[str, int] = {}
    for index, host in enumerate(settings.amihosts):
        place = ("amihosts", index)
        first = names.setdefault(host.name, index)
        if first != index:
            yield (
                (*place, "name"),
                f"is also the name of amihosts[{first}]; clients cannot tell them apart",
            )
        if host.ssl_ca and not host.ssl_verify:
            yield (*place, "ssl_ca"), "has no effect with ssl_verify: no"
    yield from role_advice(settings)
    yield from _redis_advice(settings)
    yield from _audit_advice(settings)
    if settings.state_file is not None:
        yield from _folder_advice(("state_file",), settings.state_file)
    realm, users = settings.auth_domain, settings.auth_file
    if realm and users and not files.has_realm(users, realm):
        message = "has no user of the realm in auth_domain, so nobody can log in"
        yield ("auth_file",), f"{message}; add one with amiws-gevent --passwd USER"


def _redis_advice(settings: Settings) -> Iterable[tuple[Place, str]]:
    if settings.redis is not None and settings.process == BOTH and settings.workers is None:
        message = "has no effect, as the program is one process; set workers, or process to "
        yield ("redis",), f"{message}collector or edge (or give --workers or --process)"


def _folder_advice(place: Place, path: Path) -> Iterable[tuple[Place, str]]:
    """Of a file that the program is to make."""
    if not path.exists() and not path.parent.is_dir():
        yield (
            place,
            f"there is no folder {path.parent}: make it, for the user that the program runs as",
        )


def _audit_advice(settings: Settings) -> Iterable[tuple[Place, str]]:
    audit = settings.audit
    if audit is None:
        return
    yield from _folder_advice(("audit", "file"), audit.file)
    yield from _folder_advice(("audit", "key_file"), audit.key_file)
    if audit.max_size < SMALL_AUDIT:
        message = f"is {audit.max_size} bytes, so each file has a few records alone"
        yield ("audit", "max_size"), f"{message}; write a unit, such as 64 MiB"


def unknown_events(raw: Mapping[str, object]) -> Iterable[tuple[Place, str]]:
    """Words of event_names that no Asterisk has."""
    for index, host in enumerate(_hosts(raw)):
        names = host.get("event_names") or ()
        for text in names if isinstance(names, list) else [names]:
            hidden = isinstance(text, Scalar) and text.replaced
            for word in units.event_words(text):
                message = unknown_event(word)
                if message is not None:
                    if hidden:
                        message = f"{shown(text)} contains a name that is not an Asterisk event"
                    yield ("amihosts", index, "event_names"), message


def _public_secrets(settings: Settings, raw: Mapping[str, object]) -> Iterable[tuple[Place, str]]:
    advice = "every user of this machine can read; run chmod o-r on it"
    secrets: list[tuple[Place, object]] = [
        (("amihosts", index, "secret"), host.get("secret"))
        for index, host in enumerate(_hosts(raw))
    ]
    redis = raw.get("redis")
    if isinstance(redis, dict):
        keys = ("password", "sentinel_password")
        secrets += [(("redis", key), redis.get(key)) for key in keys]
    written = [
        place for place, secret in secrets if isinstance(secret, Scalar) and not secret.replaced
    ]
    if written and settings.path is not None and files.is_public(settings.path):
        yield written[0], f"is in a file that {advice}"
    named: list[tuple[Place, Path | None]] = [
        (("amihosts", index, "secret_file"), host.secret_file)
        for index, host in enumerate(settings.amihosts)
    ]
    if settings.redis is not None:
        keys = ("password_file", "sentinel_password_file")
        named += [(("redis", key), getattr(settings.redis, key)) for key in keys]
    for place, path in named:
        if path is not None and files.is_public(path):
            yield place, f"names a file that {advice}"


def _hosts(raw: Mapping[str, object]) -> list[dict[str, object]]:
    hosts = raw.get("amihosts")
    return [host for host in hosts if isinstance(host, dict)] if isinstance(hosts, list) else []
