"""What a configuration of amiws does otherwise here, for ``--check``.

Only of a file that has nothing but the keys of amiws 2.2.1: whoever has set a key of ours has been
here before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from amiws_gevent.ami.eventnames import EVENT_NAMES
from amiws_gevent.config import units
from amiws_gevent.config.model import Settings
from amiws_gevent.config.problems import Place
from amiws_gevent.values import Scalar

AMIWS_KEYS = frozenset(
    {
        "log_facility",
        "log_level",
        "ws_port",
        "web_root",
        "auth_domain",
        "auth_file",
        "ssl_cert",
        "ssl_key",
        "amihosts",
    }
)
AMIWS_HOST_KEYS = frozenset(
    {
        "name",
        "host",
        "port",
        "username",
        "secret",
        "ssl_cert",
        "ssl_key",
        "event_names",
        "id",
    }
)


_ORIGINS = (
    "pages of other web sites cannot open the WebSocket, as they can with amiws; if there are "
    "such, list their origins in allowed_origins"
)
_LOGIN = (
    "the WebSocket asks for the login too, which it does not with amiws; pages from here need no "
    "change, programs have to log in; auth_websocket: no is as before"
)
_SYSLOG = (
    'lines in syslog begin with "amiws-gevent", not with "amiws", and have other texts; change '
    "filters that look for these"
)


def is_of_amiws(raw: Mapping[str, object]) -> bool:
    """Whether values that were read have no key but those of amiws."""
    given = {key for key, value in raw.items() if value or key != "plugins"}
    hosts = raw.get("amihosts")
    listed = [host for host in hosts if isinstance(host, dict)] if isinstance(hosts, list) else []
    return given <= AMIWS_KEYS and all(host.keys() <= AMIWS_HOST_KEYS for host in listed)


def differences(settings: Settings, raw: Mapping[str, object]) -> Iterable[tuple[Place, str]]:
    """What is otherwise than with amiws, each at the place of its key."""
    if not is_of_amiws(raw):
        return
    yield ("ws_port",), _ORIGINS
    if settings.auth_file is not None:
        yield ("auth_file",), _LOGIN
    syslog = next((key for key in ("log_facility", "log_level") if key in raw), None)
    if syslog is not None:
        yield (syslog,), _SYSLOG
    for index, host in enumerate(settings.amihosts):
        if host.event_names:
            yield from _event_names(("amihosts", index, "event_names"), raw, index)


def _event_names(
    place: Place, raw: Mapping[str, object], index: int
) -> Iterable[tuple[Place, str]]:
    """amiws lets an event pass whose name is anywhere in the text, in the same case."""
    hosts = raw["amihosts"]
    text = hosts[index].get("event_names") if isinstance(hosts, list) else None
    if not isinstance(text, Scalar) or text.replaced:  # a list; or from the environment
        return
    named = units.event_names(text)
    further = [name for name in EVENT_NAMES if name in text and name.casefold() not in named]
    if further:
        message = f"amiws lets {', '.join(further)} pass too, as a part of other names; only whole "
        yield place, f"{message}names match here, so add those that pages need"
