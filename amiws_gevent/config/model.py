"""The settings: every key, its type, its default and its meaning.

All models are frozen and equal by value, so that a reload can tell what changed.
A field's description is what editors show and what docs/configuration.md says.
Settings made in code obey the same rules as those of a file, but only loading
(with a ``LoadContext``) looks whether the files are there and fit together; a
``secret_file`` is read in both cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from amiws_gevent import values
from amiws_gevent.checked import COMPUTED, Checked, Found, Frozen, Given, written
from amiws_gevent.config import fields, rules
from amiws_gevent.config.audit import Audit
from amiws_gevent.config.redis import Redis
from amiws_gevent.policy import Role, User
from amiws_gevent.policy.model import RoleNames


class AmiHost(Checked):
    """One Asterisk server and the account to log in with."""

    id: fields.ServerId = Field(
        description="Number that clients know the server by (`server_id`, `AMIServerID`).",
        json_schema_extra={COMPUTED: "its place in the list, from 1"},
    )
    name: fields.Text = Field(description="Name that clients and the log show for the server.")
    host: fields.HostName = Field(description="Host name or address, IPv4 or IPv6.")
    port: fields.Port = Field(default=5038, description="TCP port of AMI (5039 is usual with TLS).")
    username: fields.UserName = Field(description="User of Asterisk's `manager.conf`.")
    secret: fields.Secret = Field(
        description="Secret of that user, exactly as written here. Instead of it: `secret_file`."
    )
    secret_file: values.AnyPath | None = Field(
        default=None,
        description="File whose first line is the secret, so that it need not be here.",
    )
    login: fields.Login = Field(
        default="plain",
        description="How to log in: `plain` as amiws does, or `md5`, which answers a challenge "
        "and does not send the secret.",
    )
    event_names: fields.EventNames = written(
        "",
        description="Events that clients get: whole names, as a list or separated by commas, in "
        "any case; empty for all.",
    )
    ssl: fields.Flag = Field(
        default=False,
        description="TLS to the server. `yes` verifies its certificate, unless there is "
        "`ssl_verify: no` or `ssl_fingerprint`.",
        json_schema_extra={COMPUTED: "no; yes if another `ssl_` key is given"},
    )
    ssl_cert: values.AnyPath | None = Field(
        default=None,
        description="Client certificate (PEM). With `ssl_key` alone, TLS verifies nothing, "
        "as in amiws.",
    )
    ssl_key: values.AnyPath | None = Field(
        default=None, description="Private key (PEM, no passphrase) of `ssl_cert`."
    )
    ssl_ca: values.AnyPath | None = Field(
        default=None,
        description="File with the CAs (PEM) that verify the server's certificate, instead of the "
        "system's.",
    )
    ssl_verify: fields.Flag = Field(
        default=True,
        description="Verify the server's certificate and name with `ssl_ca` or the system's CAs.",
        json_schema_extra={
            COMPUTED: "yes with `ssl_ca`, or with `ssl: yes` and no `ssl_fingerprint`; else no"
        },
    )
    ssl_fingerprint: values.Fingerprint | None = Field(
        default=None,
        description="SHA-256 of the one certificate to accept, in hexadecimal, with or without "
        "colons. For the self-signed certificates of Asterisk.",
    )
    ami_encoding: fields.Encoding | None = Field(
        default=None,
        description="Encoding of values that are not UTF-8, such as `latin-1` or `cp1251`; without "
        "it bytes that cannot be decoded become U+FFFD.",
    )
    country: fields.Country | None = Field(
        default=None,
        description="Country of the server (two letters, such as `DE`), by which pages understand "
        "national numbers.",
    )
    trunk_prefix: fields.TrunkPrefix = written(
        "",
        description="Digits that are dialled for an outside line, such as `9`: pages leave them "
        "out of numbers that were dialled.",
    )
    connect_timeout: values.Seconds = written(
        "10 s", description="Time to connect, including TLS, banner and login, seconds."
    )
    keepalive: values.Seconds = written(
        "30 s",
        description="Silence after which the server is sent a `Ping`, seconds. After as much "
        "silence again the link is closed.",
    )

    @classmethod
    def completed(cls, given: Given, context: object) -> list[Found]:
        return rules.complete_host(given, context)


class ApiToken(Checked):
    """A program that may use the HTTP API and the WebSocket with a token of its own."""

    name: fields.TokenName = Field(
        description="Name of the program; hooks and the log know it as `token:NAME`."
    )
    hash: fields.TokenHash = Field(
        description="Hash of the token: `sha256:` and 64 hexadecimal digits, as "
        "`amiws-gevent --token NAME` prints it. The token itself is nowhere in the file."
    )
    roles: RoleNames = Field(
        default=(),
        description="Roles of the program, of `roles` at the top. Without any it may do nothing, "
        "where roles are configured.",
        json_schema_extra={COMPUTED: "none"},
    )


class Limits(Checked):
    """Bounds on memory, connections and time. Sizes in bytes, times in seconds."""

    ami_line: values.Size = written("1 MiB", description="Longest line taken from a server, bytes.")
    ami_packet: values.Size = written(
        "4 MiB",
        description="Longest packet taken from a server, bytes. A longer one is dropped, and so is "
        "an event of more than 1,000 headers.",
    )
    ami_send_buffer: values.Size = written(
        "1 MiB", description="Actions that may wait for one server, bytes. More are refused."
    )
    client_message: values.Size = written(
        "256 KiB", description="Longest message taken from a client, bytes (close code 1009)."
    )
    client_buffer: values.Size = written(
        "32 MiB",
        description="What may wait for one client that reads slowly, bytes. With more, the client "
        "is closed (1013), unless `slow_clients` or the client says otherwise. Clients share what "
        "waits, so all slow ones together need little more memory.",
    )
    plugin_queue: values.Size = written(
        "16 MiB",
        description="Messages that may wait for one plugin that logs, bytes of JSON. With more, "
        "the newest are dropped for that plugin.",
    )
    plugin_messages: fields.Count = Field(
        default=50000,
        description="Messages of one server that may wait for plugins that filter or transform. "
        "With more, the newest are dropped.",
    )
    hub_buffer: values.Size = written(
        "64 MiB", description="What may wait for all clients together, bytes."
    )
    history_messages: fields.Count = Field(
        default=50000,
        description="Messages that are kept for clients that come back and go on where they were.",
    )
    history_bytes: values.Size = written(
        "32 MiB", description="What these may take in memory, bytes."
    )
    history_time: values.Seconds = written(
        "5 min", description="Age at which these are dropped, seconds."
    )
    connections: fields.Count = Field(
        default=10000, description="HTTP and WebSocket connections at once."
    )
    connections_per_address: fields.Count | None = Field(
        default=None,
        description="The same from one address, which may be that of a whole call centre or of a "
        "proxy. The first 64 bits count as the address for IPv6. Connections of "
        "`trusted_proxies` count for the address of the client.",
        json_schema_extra={COMPUTED: "half of `connections`; any number from this machine"},
    )
    connection_rate: fields.Count = Field(
        default=1000,
        description="New connections a second. Up to five seconds' worth may come in one burst; "
        "more have to wait.",
    )
    handshakes: fields.Count = Field(
        default=2000,
        description="Connections at once whose TLS handshake or request headers are not complete. "
        "With more, the oldest is closed.",
    )
    failed_logins: fields.Count = Field(
        default=20,
        description="Wrong passwords for one user name from one address that may come at once. "
        "After that one login every 10 seconds is checked, and others are answered with 429, "
        "whether the password is right or not. For all user names of one address together there "
        "is a second limit, ten times as high; it does not apply to this machine.",
    )
    actions_per_second: fields.Count = Field(
        default=50,
        description="Actions a second that one user may send for long; more are answered with an "
        "error that says when to come again. From one address ten times as many, whoever sends "
        "them; users on this machine have no limit by address.",
    )
    actions_burst: fields.Count = Field(
        default=500, description="Actions of one user that may come at once; see above."
    )
    actions_at_work: fields.Count = Field(
        default=100,
        description="Actions of one user that may wait for an answer at once; from one address "
        "ten times as many. One connection may have 32.",
    )
    header_size: values.Size = written("32 KiB", description="All headers of one request, bytes.")
    header_time: values.Seconds = written(
        "10 s", description="Time in which the headers of a request must be complete, seconds."
    )
    tls_handshake_time: values.Seconds = written(
        "10 s",
        description="Time that a client may take for its part of the TLS handshake, seconds.",
    )
    idle_time: values.Seconds = written(
        "60 s",
        description="Time after which an HTTP connection without a request is closed, and in which "
        "a message of a client must be complete, seconds.",
    )
    ping_interval: values.Seconds = written(
        "25 s", description="Time between two pings to a client's WebSocket, seconds."
    )


class Settings(Checked):
    """The whole configuration."""

    # Not a key of the file: which file it was. Excluded from FILE_KEYS and the schema.
    path: SkipJsonSchema[Path | None] = Field(default=None, exclude=True)

    log_facility: fields.Facility = Field(
        default=40, description="Facility of syslog: a name, or the number as in `sys/syslog.h`."
    )
    log_level: fields.Level = Field(
        default=6,
        description="Least urgent priority that is logged: a name, or 0 (emerg) to 7 (debug).",
    )
    ws_host: fields.ListenHost = written(
        "", description="Address to listen on, such as `127.0.0.1`; empty for all interfaces."
    )
    ws_port: fields.ListenPort = Field(
        default=rules.WS_PORT,
        description="TCP port of HTTP and WebSocket; 0, for tests, takes any free one.",
    )
    web_root: fields.Folder = written(
        "./web_root",
        description="Folder of the static files. If neither the key nor the folder exists, the "
        "dashboard that is installed with the program.",
    )
    auth_domain: fields.Realm | None = Field(
        default=None, description="Realm of the Digest login; with `auth_file`."
    )
    auth_file: values.AnyPath | None = Field(
        default=None,
        description="File of the users (`user:realm:HA1` lines, made with `amiws-gevent --passwd "
        "USER` or htdigest); with `auth_domain`.",
    )
    auth_websocket: fields.Flag = Field(
        default=True,
        description="Ask for the login on the WebSocket too; `no` leaves it open, as amiws does.",
    )
    api_tokens: tuple[ApiToken, ...] = Field(
        default=(),
        description="Tokens of programs, for `/api/` and the WebSocket "
        "(`Authorization: Bearer`). See [Tokens of programs](#tokens-of-programs-api_tokens).",
        json_schema_extra={COMPUTED: "none"},
    )
    trusted_proxies: fields.Networks = written(
        "",
        description="Addresses and networks of reverse proxies that are believed: what they say of "
        "the client's address and scheme counts, and the user in `auth_header`. A list, or "
        "separated by commas. See [docs/security.md](security.md#reverse-proxies).",
    )
    proxy_headers: fields.ProxyHeaders = Field(
        default="x-forwarded",
        description="What these proxies send: `x-forwarded` (`X-Forwarded-For` and "
        "`X-Forwarded-Proto`) or `forwarded` (RFC 7239). The other is not read.",
    )
    auth_header: fields.HeaderName | None = Field(
        default=None,
        description="Header in which a trusted proxy says who has logged in there, such as "
        "`Remote-User`. The proxy must remove it from what clients send.",
    )
    logout_url: fields.LogoutUrl | None = Field(
        default=None,
        description="Where a page sends the browser of a user of `auth_header` who logs out: the "
        "path or URL at which the proxy ends its own session.",
    )
    path_prefix: fields.PathPrefix = written(
        "",
        description="Path below which a proxy has this server, such as `/amiws`, if it does not "
        "remove it from requests. One that does may say so in `X-Forwarded-Prefix`.",
    )
    roles: Annotated[Mapping[fields.TokenName, Role], AfterValidator(Frozen)] | None = Field(
        default=None,
        description="What may be seen and done, by name of the role. Without the key everybody who "
        "gets in may see and do everything, as with amiws. See docs/roles.md.",
        json_schema_extra={COMPUTED: "everybody may do everything"},
    )
    users: Annotated[Mapping[str, User], AfterValidator(Frozen)] = Field(
        default={},
        description="The roles and attributes of users, by the name that they log in with. Who is "
        "not here may see and do nothing, where roles are configured.",
        json_schema_extra={COMPUTED: "none"},
    )
    anonymous_roles: RoleNames = Field(
        default=(),
        description="Roles of whoever did not log in.",
        json_schema_extra={COMPUTED: "none"},
    )
    session_lifetime: values.Seconds = written(
        "12 h",
        description="Time for which the cookie of a login on a page opens the WebSocket, seconds.",
    )
    allowed_origins: fields.Origins = written(
        "",
        description="Other web sites whose pages may open the WebSocket, use the HTTP API, and "
        "have the dashboard in a frame (`https://host:port`), as a list or separated by "
        'commas; `"*"` for all.',
    )
    allowed_hosts: fields.Hosts | None = Field(
        default=None,
        description="Names by which browsers may reach this server, besides those that are always "
        "allowed: `pbx.example.com`, `.example.com` for that name and all below it, "
        '`*.example.com` for those below it only, `"*"` for all. A list, or separated by commas; '
        "it may be empty. See [Names of this server](#names-of-this-server).",
        json_schema_extra={COMPUTED: "any name, with a warning where it matters"},
    )
    ssl_cert: values.AnyPath | None = Field(
        default=None, description="Certificate chain (PEM) for HTTPS and `wss://`; with `ssl_key`."
    )
    ssl_key: values.AnyPath | None = Field(
        default=None, description="Private key (PEM, no passphrase) of `ssl_cert`."
    )
    metrics_listen: fields.Listen | None = Field(
        default=None,
        description="`HOST:PORT` at which `/metrics`, `/healthz` and `/readyz` are answered, "
        "without a login, over plain HTTP. Without the key they are at `ws_port`, behind the "
        "login. See docs/operations.md.",
    )
    slow_clients: fields.SlowClients = Field(
        default="close",
        description="What happens to a client for which more than `client_buffer` waits: `close` "
        "closes it, `drop` leaves out messages and tells it how many. A client can choose for "
        "itself with `?slow=drop` or `?slow=close`.",
    )
    compression: fields.Flag = Field(
        default=True,
        description="Compress messages for clients of the WebSocket that offer it "
        "(`permessage-deflate`, as all browsers do), and long answers of the HTTP API. See "
        "[docs/performance.md](performance.md#compression) for what it costs, and "
        "[docs/security.md](security.md#compression) for what a listener may learn by it.",
    )
    live_state: fields.Flag = Field(
        default=True,
        description="Keep a model of what is so on each server: channels, calls, queues, phones. "
        "It is what the servers' events say, and what they answer when they are asked. `no`: "
        "servers are asked nothing, and clients get no state but whether each server is "
        "connected; events and actions are as ever.",
    )
    sync_interval: values.Seconds = written(
        "5 min",
        description="Time after which each server is asked again for all that it can list, so "
        "that what an event did not tell is put right, seconds.",
    )
    queue_day: fields.QueueDayOfFile = written(
        "00:00",
        description="When the day of the queues' figures begins: a time, and the name of a time "
        "zone, such as `00:00 Europe/Berlin`. Without a zone it is this machine's.",
    )
    queue_service_level: values.Seconds = written(
        "20 s",
        description="Time within which a caller should be answered: the queues' figures count how "
        "many were, seconds.",
    )
    state_file: values.AnyPath | None = Field(
        default=None,
        description="File in which the queues' figures of the day survive a restart; beside it, as "
        "`NAME.logouts`, logouts do. Without it the figures begin anew, and are marked "
        "`incomplete`, and cookies of ended sessions are good again. Its folder must allow the "
        "program to make files.",
    )
    audit: Audit | None = Field(
        default=None,
        description="The audit trail: who did what, in a file that shows later changes. See "
        "[The audit trail](#the-audit-trail-audit).",
    )
    process: fields.Process = Field(
        default="both",
        description="What this process does: `both`, alone; or, with others over `redis`, "
        "`collector`, which has the AMI connections, or `edge`, which serves clients. "
        "`--process` on the command line goes before it. See [docs/edges.md](edges.md).",
    )
    workers: fields.Workers | None = Field(
        default=None,
        description="How many processes of this machine serve clients at `ws_port`, or `auto` for "
        "one for each core; another one has the AMI connections. Without `redis` the program "
        "starts a Redis of its own. `--workers` on the command line goes before it. See "
        "[docs/workers.md](workers.md).",
        json_schema_extra={COMPUTED: "one process does all"},
    )
    redis: Redis | None = Field(
        default=None,
        description="Redis, which lies between a collector and its edges. See "
        "[Redis](#redis-redis).",
    )
    limits: Limits = Field(default=Limits(), description="Bounds on memory, connections and time.")
    plugin_dirs: fields.Paths = written(
        "",
        description="Folders with files of plugins, one or a list; relative ones count from the "
        "folder of this file.",
    )
    plugins: fields.Plugins = Field(
        default=(),
        description="Plugins, in the order in which they are asked: names or paths, each with its "
        "settings under it. See docs/plugins.md.",
        json_schema_extra={COMPUTED: "none"},
    )
    amihosts: tuple[AmiHost, ...] = Field(
        description="The Asterisk servers, at least one.", json_schema_extra={"minItems": 1}
    )

    @property
    def logouts_file(self) -> Path | None:
        """Beside ``state_file``: who has logged out, so that a restart does not forget it.

        Edges on one machine may share ``state_file``, but each has logouts of its own.
        """
        path = self.state_file
        own = f".{self.ws_port}" if self.process == fields.EDGE else ""
        return None if path is None else path.with_name(f"{path.name}{own}.logouts")

    @classmethod
    def completed(cls, given: Given, context: object) -> list[Found]:
        return rules.complete_settings(given, context)


def file_keys(model: type[BaseModel]) -> list[str]:
    """The keys that a mapping of the file may have for ``model``, in their order."""
    return [name for name, field in model.model_fields.items() if not field.exclude]
