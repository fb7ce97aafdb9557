"""Where the users of the Digest login are, read alone: nothing else of the file need be right.

Who makes the first user has no ``auth_file`` yet, and may not be able to read all secrets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from amiws_gevent import values
from amiws_gevent.config import fields
from amiws_gevent.config.document import Reader, compose, read_text
from amiws_gevent.config.problems import ConfigError, Problem, key_path, worded


class UsersFile(BaseModel):
    """The file of the users, which need not exist, and the realm of its lines."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    auth_domain: fields.Realm
    auth_file: values.AnyPath


def load_users_file(
    path: Path, *, environ: Mapping[str, str] = os.environ, base: Path | None = None
) -> UsersFile:
    """Of a configuration file; as `load_settings`. Raises ConfigError."""
    base = Path.cwd() if base is None else base
    path = base / path
    reader = Reader(environ)
    raw: dict[str, object] = {}
    for key, node in reader.mapping(compose(path, read_text(path)), ()).items():
        if key in UsersFile.model_fields:
            raw[key] = reader.scalar(node, (key,)) if isinstance(node, yaml.ScalarNode) else {}
    given = {key: value for key, value in raw.items() if value is not None}
    wrong = {place: message for place, message in reader.problems if place and place[0] in raw}
    try:
        made = UsersFile.model_validate(given, context=values.LoadContext(base))
    except ValidationError as error:
        for found in error.errors(include_url=False):
            missing = found["type"] == "missing"
            message = "is missing; --passwd edits the file that it names"
            if not missing or found["loc"][0] == "auth_domain":
                message = "is missing" if missing else worded(found["type"], found["msg"])
            wrong.setdefault(found["loc"], message)
    if wrong:
        told = [Problem(reader.line(key), key_path(key), text) for key, text in wrong.items()]
        raise ConfigError(path, told)
    return made
