"""The configuration: a YAML file to checked, frozen settings.

``load_settings`` is the way in; what is wrong with a file is one ConfigError
with all its problems. The settings' own rules are in ``model``.
"""

from amiws_gevent.config.audit import Audit
from amiws_gevent.config.changes import changed_keys
from amiws_gevent.config.fields import ListenAddress
from amiws_gevent.config.granted import policy_of, role_report
from amiws_gevent.config.load import LoadResult, load_settings
from amiws_gevent.config.model import AmiHost, ApiToken, Limits, Settings
from amiws_gevent.config.named import named_paths
from amiws_gevent.config.problems import ConfigError, Problem
from amiws_gevent.config.redis import CLUSTER, SENTINEL, Endpoint, Redis, RedisAddress
from amiws_gevent.config.rules import WS_PORT
from amiws_gevent.config.security import security_warnings
from amiws_gevent.config.source import Source
from amiws_gevent.config.users import UsersFile, load_users_file

__all__ = [
    "CLUSTER",
    "SENTINEL",
    "WS_PORT",
    "AmiHost",
    "ApiToken",
    "Audit",
    "ConfigError",
    "Endpoint",
    "Limits",
    "ListenAddress",
    "LoadResult",
    "Problem",
    "Redis",
    "RedisAddress",
    "Settings",
    "Source",
    "UsersFile",
    "changed_keys",
    "load_settings",
    "load_users_file",
    "named_paths",
    "policy_of",
    "role_report",
    "security_warnings",
]
