"""Warnings at each start about who can control the PBX."""

from __future__ import annotations

import ipaddress

from amiws_gevent.config.model import Settings
from amiws_gevent.plugins.entities import keeps_state_back
from amiws_gevent.plugins.entry import PluginEntry


def security_warnings(settings: Settings) -> list[str]:
    """One sentence for each setting that opens more than most sites want."""
    return [*_of_everybody(settings), *_of_doors(settings)]


_EVERYTHING = (
    "sees all of every server and may send any action, such as Originate, Command and UpdateConfig"
)


def _of_everybody(settings: Settings) -> list[str]:
    """Without roles: what anybody may do who gets in."""
    if settings.roles is not None:
        return []
    port = settings.ws_port
    warnings = []
    if not _has_login(settings) and not _is_loopback(settings.ws_host):
        warnings.append(
            f"no login is asked for: whoever reaches port {port} can act on the PBX: "
            f"{_EVERYTHING}; set auth_domain and auth_file, and roles, or ws_host: 127.0.0.1"
        )
    if _has_login(settings):
        warnings.append(f"no roles are configured: whoever logs in {_EVERYTHING}; set roles")
    if not _has_login(settings) and settings.api_tokens:
        warnings.append(
            "api_tokens keeps the HTTP API for programs with a token, but pages and the WebSocket "
            "ask for no login, and can do the same; set auth_domain and auth_file"
        )
    if _has_login(settings) and not settings.auth_websocket:
        warnings.append(
            "auth_websocket is off: pages need a login, the WebSocket does not, so whoever "
            f"reaches port {port} can act on the PBX; remove auth_websocket: no"
        )
    return warnings


def _of_doors(settings: Settings) -> list[str]:
    """What lets in, or tells, more than most sites want."""
    warnings = []
    if "*" in (settings.allowed_hosts or ()) and not _asks_for_login(settings):
        warnings.append(
            'allowed_hosts is "*" and the WebSocket asks for no login: any web site that a user '
            "visits can act on the PBX by DNS rebinding; name the hosts instead"
        )
    if any(not network.prefixlen for network in settings.trusted_proxies):
        warnings.append(
            "trusted_proxies trusts every address: any client can pretend to be at another one, "
            "and so get round the limits by address; name the proxies"
        )
    metrics = settings.metrics_listen
    if metrics is not None and not _is_loopback(metrics.host):
        warnings.append(
            f"metrics_listen asks for no login: whoever reaches port {metrics.port} can read how "
            "servers, queues, trunks and plugins are called and how busy they are; let only the "
            "monitoring in, or listen on 127.0.0.1"
        )
    if "*" in settings.allowed_origins:
        warnings.append(
            'allowed_origins is "*": any web site that a user visits can act on the PBX through '
            "that user's browser; name the sites instead"
        )
    redis = settings.redis
    if redis is not None and not redis.url.path and not _is_loopback(redis.url.host):
        if not redis.url.tls:
            warnings.append(
                f"redis.url has no TLS: whoever can listen between here and {redis.url.host} reads "
                "all calls and can send actions to every server; use rediss://"
            )
        if redis.password is None:
            warnings.append(
                f"redis has no password: whoever reaches {redis.url.host}:{redis.url.port} reads "
                "all calls and can send actions to every server; set username and password_file"
            )
    keeper = next(filter(_keeps_state_back, settings.plugins), None)
    if keeper is not None and settings.live_state:
        warnings.append(
            f"clients get no live state: the plugin {keeper.code.name} is required and changes "
            "messages, but has no amiws_transform_entity that would change the state alike; add "
            "that hook, set required: no for the plugin, or live_state: no"
        )
    return warnings


def _keeps_state_back(plugin: PluginEntry) -> bool:
    return plugin.required and keeps_state_back(plugin.code.hooks)


def _has_login(settings: Settings) -> bool:
    return settings.auth_file is not None or settings.auth_header is not None


def _asks_for_login(settings: Settings) -> bool:
    return _has_login(settings) and settings.auth_websocket


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
