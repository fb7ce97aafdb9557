"""Marks the calls of important people, and keeps clients from hanging them up.

A template: copy the folder, rename it, and delete what you do not need. Every method
whose name begins with ``amiws_`` is a hook; docs/hooks.md of amiws-gevent describes
them all. In the configuration::

    plugins:
    - vip_callers:              # or a path: ./amiws_vip_callers.py
        numbers: ["0301234567"]
        file: /etc/amiws/vip.txt
"""

from pydantic import Field

from amiws_gevent.plugins import (
    AnyPath,
    ClientAction,
    ClientInfo,
    Message,
    PluginContext,
    PluginSettings,
    ServerInfo,
)


class Settings(PluginSettings):
    """What may stand under the plugin's name. Anything else is an error that --check finds."""

    numbers: list[str] = Field([], description="Numbers of important people")
    # A relative path counts from the folder of the configuration file.
    file: AnyPath | None = Field(
        None, description="File with more of them, one a line; read again by SIGHUP"
    )
    header: str = Field("VIP", min_length=1, description="Header that marks their messages")


class Plugin:
    """One instance for each time that the plugin is listed in the configuration."""

    # True for a plugin without which no message may pass, such as a redaction.
    REQUIRED = False

    def __init__(self) -> None:
        # Called before there are settings, and for --check too: only create empty fields.
        self.numbers: frozenset[str] = frozenset()
        self.channels: set[tuple[int, str]] = set()

    def amiws_settings(self) -> type[Settings]:
        """Returns the model with which the settings of the file are validated."""
        return Settings

    def amiws_startup(self, context: PluginContext) -> None:
        """Gets the settings. If it raises, the start is refused, with file and line."""
        self.settings: Settings = context.settings
        self.log = context.log
        self.numbers = self.read_numbers()
        self.log.info("%d important numbers", len(self.numbers))

    def amiws_reload(self) -> None:
        """Called on SIGHUP if our settings did not change. The file may have changed."""
        self.numbers = self.read_numbers()

    def read_numbers(self) -> frozenset[str]:
        """Not a hook, as its name does not begin with amiws_."""
        lines = self.settings.file.read_text().splitlines() if self.settings.file else []
        return frozenset([*self.settings.numbers, *(line.strip() for line in lines)]) - {""}

    # Messages wait for filters and transforms. Be quick: use what was prepared at the
    # start.

    def amiws_transform_message(self, message: Message) -> Message | None:
        """Returns another message; None leaves it as it is."""
        if message.get("CallerIDNum") in self.numbers:
            return message.replace(self.settings.header, "yes")
        return None

    # Nothing waits for the log hook. It is called in the order of the messages, so it can
    # also keep track of calls.

    def amiws_log_message(self, message: Message, server: ServerInfo) -> None:
        """Sees what clients see. It has only the parameters that it needs."""
        channel = (server.id, message.get("Channel", "") or "")
        if message.name == "Hangup":
            self.channels.discard(channel)  # what is collected must also be forgotten
        elif message.get(self.settings.header) == "yes":
            self.channels.add(channel)

    def amiws_server_changed(self, server: ServerInfo, state: str) -> None:
        """While a server is not connected, ends of calls are missed: forget its calls."""
        if state == "disconnected":
            self.channels = {(id_, name) for id_, name in self.channels if id_ != server.id}

    def amiws_authorize_action(self, action: ClientAction, client: ClientInfo) -> str | None:
        """Returns the reason of a refusal; None does not object. Raising refuses."""
        if action.name.lower() != "hangup":  # Asterisk takes it in any case
            return None
        channels = [value for name, value in action.headers if name.lower() == "channel"]
        if any(channel.startswith("/") for channel in channels):
            return "name the channel, not a pattern"  # Asterisk takes /regular expressions/ too
        for server_id, channel in self.channels:
            if channel in channels and action.server_id in (None, server_id):
                self.log.warning("%s wanted to hang up %s", client.user, channel)
                return f"{channel} is an important call"
        return None

    def amiws_shutdown(self) -> None:
        """Close files and sockets here. It is also called after a failed start."""
        self.log.info("%d important calls at the end", len(self.channels))
