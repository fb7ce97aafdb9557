"""Rules between keys, and defaults that follow from other keys.

The functions run before the models validate, so that a wrong port does not hide a missing
certificate: values may be wrong. They fill in defaults and return contradictions. Files
are checked only when a configuration file is loaded (see ``LoadContext``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from amiws_gevent import resources, values
from amiws_gevent.checked import Found, Given
from amiws_gevent.config import fields, files, units
from amiws_gevent.config.problems import key_path
from amiws_gevent.config.roles import role_problems
from amiws_gevent.values import shown

# Any of these turns TLS to a server on; amiws knows the first two.
TLS_KEYS = ("ssl_cert", "ssl_key", "ssl_ca", "ssl_verify", "ssl_fingerprint")

WS_PORT = 8000  # the default

# A path's end tells more than its beginning does; show most of it.
_PATH_LENGTH = 120


def complete_host(given: Given, context: object) -> list[Found]:
    """The rules of one server: TLS and where its secret comes from."""
    return [
        *_together(given, "ssl_cert", "ssl_key"),
        *_complete_tls(given),
        *_complete_secret(given, context, "secret"),
        *_tls_files(given, context),
    ]


def complete_redis(given: Given, context: object) -> list[Found]:
    """The rules of Redis: where its passwords come from, and the files of TLS."""
    found = [*_together(given, "ssl_cert", "ssl_key"), *_tls_files(given, context)]
    for whose in ("", "sentinel_"):
        user, password = f"{whose}username", f"{whose}password"
        found += _complete_secret(given, context, password)
        if user in given and password not in given:
            found.append(((user,), f"needs {password} or {password}_file too"))
    return found


def complete_settings(given: Given, context: object) -> list[Found]:
    """The rules of the whole: ids, pairs of keys, ports, and web_root."""
    return [
        *_together(given, "ssl_cert", "ssl_key"),
        *_together(given, "auth_domain", "auth_file"),
        *_complete_ids(given),
        *_repeated_tokens(given),
        *_proxies(given),
        *_process(given),
        *role_problems(given),
        *_apart(given),
        *_complete_web_root(given, context),
        *_settings_files(given, context),
    ]


def _together(given: Given, one: str, other: str) -> Iterator[Found]:
    for key, absent in ((one, other), (other, one)):
        if key in given and absent not in given:
            yield (key,), f"needs {absent} too; give both or neither"


def _process(given: Given) -> Iterator[Found]:
    kind = str(given.get("process", fields.BOTH)).lower()
    if kind in fields.PROCESSES and kind != fields.BOTH and "redis" not in given:
        yield ("process",), f"{kind} needs redis, over which collector and edges are connected"
    if kind == fields.COLLECTOR and given.get("workers") is not None:
        yield ("workers",), "has no effect on a collector, which has no clients; remove one of both"


def _apart(given: Given) -> Iterator[Found]:
    """The web server and the metrics cannot have the same port of the same address."""
    try:
        web = fields.ListenAddress(
            fields.listen_host(given.get("ws_host", "")),
            units.whole_number(given.get("ws_port", WS_PORT), 1, 65535),
        )
        metrics = fields.listen_address(given.get("metrics_listen"))
    except ValueError:
        return
    same_host = metrics.host == web.host or not metrics.host or not web.host
    if metrics.port == web.port and same_host:
        yield ("metrics_listen",), "has the port of ws_port; give it another one"


def _complete_tls(given: Given) -> Iterator[Found]:
    """TLS on or off, and whether certificates are verified.

    amiws's pair of certificate and key alone verifies nothing, as in amiws. Who
    names a CA, or asks for TLS by name and pins nothing, wants it verified.
    """
    wished = _flag(given.get("ssl"))
    present = [key for key in TLS_KEYS if key in given]
    if wished is False:
        for key in present:
            yield (key,), "has no effect with ssl: no; remove it or write ssl: yes"
    given.setdefault("ssl", bool(present))
    given.setdefault(
        "ssl_verify", "ssl_ca" in given or (wished is True and "ssl_fingerprint" not in given)
    )


def _complete_secret(given: Given, context: object, key: str) -> Iterator[Found]:
    """What is at ``key``, or in the file that is named beside it."""
    key_file = f"{key}_file"
    if key_file not in given:
        return
    if key in given:
        yield (key_file,), f"is given with {key}; give only one of them"
        return
    # Whatever is wrong below is said of the file; the secret is not missing.
    given[key] = "-"  # never used: the problem below ends validation
    path = _path(given, key_file, context)
    if path is None:
        return
    try:
        given[key] = files.read_secret(path)
    except ValueError as error:
        yield (key_file,), _of_file(given, key_file, str(error))


def _tls_files(given: Given, context: object) -> Iterator[Found]:
    if not isinstance(context, values.LoadContext):
        return
    sound = [key for key in ("ssl_cert", "ssl_key", "ssl_ca") if key in given]
    yield from _unreadable(given, sound, context)
    yield from _unsound_pair(given, context)
    authorities = _path(given, "ssl_ca", context)
    if authorities is not None and files.why_unreadable(authorities) is None:
        wrong = files.why_no_authorities(authorities)
        if wrong is not None:
            yield ("ssl_ca",), _of_file(given, "ssl_ca", wrong)


def _settings_files(given: Given, context: object) -> Iterator[Found]:
    if not isinstance(context, values.LoadContext):
        return
    yield from _unreadable(given, ("auth_file", "ssl_cert", "ssl_key"), context)
    yield from _unsound_pair(given, context)


def _unreadable(given: Given, keys: Sequence[str], context: object) -> Iterator[Found]:
    for key in keys:
        path = _path(given, key, context)
        wrong = files.why_unreadable(path) if path is not None else None
        if wrong is not None:
            yield (key,), _of_file(given, key, wrong)


def _unsound_pair(given: Given, context: object) -> Iterator[Found]:
    certificate, key = _path(given, "ssl_cert", context), _path(given, "ssl_key", context)
    if certificate is None or key is None:
        return
    if files.why_unreadable(certificate) or files.why_unreadable(key):
        return
    wrong = files.why_no_pair(certificate, key)
    if wrong is not None:
        yield (wrong[0],), _of_file(given, *wrong)


def _complete_web_root(given: Given, context: object) -> Iterator[Found]:
    """Without the key and without ./web_root: the dashboard that was installed."""
    base = values.base_folder(context)
    if "web_root" in given:
        path = _path(given, "web_root", context)
        if path is not None and isinstance(context, values.LoadContext):
            wrong = files.why_no_folder(path)
            if wrong is not None:
                yield ("web_root",), _of_file(given, "web_root", wrong)
        return
    if (base / "web_root").is_dir():
        given["web_root"] = base / "web_root"
        return
    try:
        given["web_root"] = resources.dashboard_root()
    except FileNotFoundError as error:
        yield ("web_root",), f"must be given: {error}"


def _complete_ids(given: Given) -> Iterator[Found]:
    """Count the servers without an id from 1 by their place; refuse an id given twice."""
    hosts = given.get("amihosts")
    if not isinstance(hosts, list | tuple):
        return
    if not hosts:
        yield ("amihosts",), "must have at least one server"
    counted = [
        {"id": place} | host if isinstance(host, dict) else host
        for place, host in enumerate(hosts, 1)
    ]
    given["amihosts"] = counted
    bearers: dict[int, list[int]] = defaultdict(list)
    for index, host in enumerate(counted):
        number = _id(host)
        if number is not None:
            bearers[number].append(index)
    for number, indexes in bearers.items():
        if len(indexes) > 1:
            named = " and ".join(_called(index, counted[index]) for index in indexes)
            advice = "a server without the key has its place in the list, from 1"
            yield (
                ("amihosts", indexes[1], "id"),
                f"{number} is the id of {named}; give each one of its own ({advice})",
            )


def _repeated_tokens(given: Given) -> Iterator[Found]:
    """A name must tell who it is, and a token must have one name."""
    tokens = given.get("api_tokens")
    for key in ("name", "hash"):
        first: dict[str, int] = {}
        for index, token in enumerate(tokens if isinstance(tokens, list | tuple) else ()):
            value = token.get(key) if isinstance(token, Mapping) else getattr(token, key, None)
            if not isinstance(value, str):
                continue
            before = first.setdefault(value.strip().lower() if key == "hash" else value, index)
            if before != index:
                yield (
                    ("api_tokens", index, key),
                    f"is also that of api_tokens[{before}]; give each program its own",
                )


def _proxies(given: Given) -> Iterator[Found]:
    """A name in a header counts from a proxy alone, so not from everybody."""
    try:
        trusted = units.networks(given.get("trusted_proxies") or ())
    except ValueError:
        return  # told of that key
    if "auth_header" in given and not trusted:
        yield ("auth_header",), "needs trusted_proxies: anybody could send the header"
    if "auth_header" in given and any(not network.prefixlen for network in trusted):
        yield (
            ("trusted_proxies",),
            "trusts every address, so that anybody could send auth_header; name the proxies",
        )
    if "logout_url" in given and "auth_header" not in given:
        yield ("logout_url",), "needs auth_header too; users of auth_file log out without it"


def _id(host: object) -> int | None:
    given = host.get("id") if isinstance(host, Mapping) else getattr(host, "id", None)
    try:
        return units.whole_number(given, 0, 2**31 - 1)
    except ValueError:
        return None


def _called(index: int, host: object) -> str:
    name = host.get("name") if isinstance(host, Mapping) else getattr(host, "name", None)
    place = key_path(("amihosts", index))
    return f"{place} ({shown(name)})" if isinstance(name, str) else place


def _flag(value: object) -> bool | None:
    try:
        return units.flag(value)
    except ValueError:
        return None


def _path(given: Given, key: str, context: object) -> Path | None:
    """The path at ``key``; None without one, or if the field's own validation refuses it."""
    try:
        return values.absolute(given.get(key), values.base_folder(context))
    except ValueError:
        return None


def _of_file(given: Given, key: str, wrong: str) -> str:
    return f"{shown(given[key], _PATH_LENGTH)} {wrong}"
