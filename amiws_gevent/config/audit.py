"""The settings of the audit trail."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from amiws_gevent import values
from amiws_gevent.checked import Checked, Found, Given, written
from amiws_gevent.config import fields
from amiws_gevent.values import shown, text_pattern


def on_failure(value: object) -> str:
    """What happens to actions while the audit cannot be written."""
    policy = str(value).lower()
    if policy not in ("refuse", "allow"):
        raise ValueError(f"must be refuse or allow, not {shown(value)}")
    return policy


_ON_FAILURE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"enum": ["refuse", "allow"]},
        text_pattern("^([Rr][Ee][Ff][Uu][Ss][Ee]|[Aa][Ll][Ll][Oo][Ww])$"),
    ]
}

OnFailure = Annotated[
    Literal["refuse", "allow"], BeforeValidator(on_failure), WithJsonSchema(_ON_FAILURE_SCHEMA)
]


class Audit(Checked):
    """Where the audit trail is written, and how."""

    file: values.AnyPath = Field(
        description="File of JSON lines, mode 0600, made if need be. Finished ones lie beside it, "
        "with the number of their first record in the name."
    )
    key_file: values.AnyPath = Field(
        description="File with the key that proves the lines; not in the folder of `file`. It is "
        "made at the first start, where its folder permits that."
    )
    max_size: values.Size = written(
        "64 MiB", description="Size at which a file is finished, bytes."
    )
    max_age: values.Seconds = written(
        "1 d", description="Age at which a file is finished, seconds."
    )
    keep: values.Seconds | None = Field(
        default=None,
        description="Age at which finished files are removed, seconds. Without it they are kept.",
    )
    fsync: fields.Flag = Field(
        default=True,
        description="Send an action only once its record is on the disk, so that a power loss "
        "takes none away. `no`: once it is written; the disk has it within about a second.",
    )
    syslog: fields.Flag = Field(
        default=False, description="Send each record to the log of the program too."
    )
    on_failure: OnFailure = written(
        "refuse",
        description="While the audit cannot be written, actions are answered with an error "
        "(`refuse`) or sent all the same (`allow`).",
    )

    @classmethod
    def completed(cls, given: Given, context: object) -> list[Found]:
        return _apart(given, context)


def _apart(given: Given, context: object) -> list[Found]:
    """Who can change the file must not have the key with it."""
    base = values.base_folder(context)
    try:
        file, key = (values.absolute(given.get(name), base) for name in ("file", "key_file"))
    except ValueError:
        return []
    if os.path.realpath(file.parent) != os.path.realpath(key.parent):
        return []
    return [(("key_file",), "must not be in the folder of file: who can change one has the other")]
