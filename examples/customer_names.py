"""A plugin that adds the customer's name to calls, from an SQLite database.

A hook that decides on a message, or on what is shown of a call, must not ask a database: while
SQLite waits for a lock it waits in C, and nothing else in the program runs. So this plugin has all
names in memory. It reads them when it starts, and then now and then in a thread of gevent's pool,
where waiting is nobody's loss. A message costs one look into a dict.

::

    plugins:
    - /etc/amiws/plugins/customer_names.py:
        database: /var/lib/crm/customers.db    # a table customers with number and name
        every: 5 min

Events whose CallerIDNum is known get a header ``Customer``, and calls of the live state a field
``customer``. SIGHUP reads the names at once. List it before ``mask``, which hides the numbers.
"""

import contextlib
import sqlite3
from pathlib import Path

import gevent

from amiws_gevent.plugins import AnyPath, PluginSettings, Seconds

MOST = 1_000_000  # names; some 150 MiB


class Settings(PluginSettings):
    database: AnyPath
    every: Seconds = 300.0
    """Seconds between two looks at the database."""


def read_names(database: Path) -> dict[str, str]:
    """All names by number. It may wait for a lock, for 5 seconds: call it in a thread."""
    address = f"{database.as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
        rows = connection.execute("SELECT number, name FROM customers LIMIT ?", (MOST,))
        return {str(number): str(name) for number, name in rows}


class Plugin:
    def amiws_settings(self):
        return Settings

    def amiws_startup(self, context):
        self.settings, self.log = context.settings, context.log
        self.found = context.counter("names_found", "Events that got a customer's name.")
        self.names = {}
        # An error here refuses the start, so that a wrong path is found at once.
        self.names = self.read()
        context.spawn(self.refresh)

    def read(self):
        """The names, read in a thread; only the greenlet that calls this waits."""
        return gevent.get_hub().threadpool.apply(read_names, (self.settings.database,))

    def refresh(self):
        while True:
            gevent.sleep(self.settings.every)
            self.amiws_reload()

    def amiws_reload(self):
        try:
            self.names = self.read()
        except sqlite3.Error as error:
            self.log.warning("%s: %s; the names read before stay", self.settings.database, error)

    def amiws_transform_message(self, message):
        name = self.names.get(message.get("CallerIDNum", ""))
        if name is not None:
            self.found.add()
            return message.replace("Customer", name)
        return None

    def amiws_transform_entity(self, entity):
        caller = entity.get("caller")
        if entity["kind"] == "call" and caller:
            return {**entity, "customer": self.names.get(caller["number"])}
        return None
