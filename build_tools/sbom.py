"""The bill of materials of a release, as CycloneDX 1.6: what the wheel needs, what is in it.

Libraries of Python are named in the versions with which the release was tested, which are those of
the environment that makes it; packages of npm in the versions of package-lock.json.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

_LICENCES = "/licenses/web_root/vendor/LICENSES.txt"
_MADE_OF = re.compile(r"^-{80}\n\n(\S+) \S+ \(.+\)$", re.MULTILINE)
EXTRAS = ("client", "redis")
"""Those that users install; the others are for who works on the program."""


class SbomError(Exception):
    """The bill cannot be made; the text says why."""


def bill(wheel: Path, lock: Path, time: int) -> str:
    """The bill as JSON, the same each time. ``time`` is in seconds, Unix.

    Raises SbomError if something that the wheel names is not installed or not in the lock file.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    about, licences = _read(wheel)
    program = _component(about, type=ComponentType.APPLICATION)
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{program.purl}?time={time}"))
    bom.metadata.timestamp = datetime.fromtimestamp(time, UTC)
    bom.metadata.component = program
    npm = npm_components(licences, json.loads(lock.read_text(encoding="utf-8")))
    python, needs = _python_components(about)
    for component in (*npm, *python.values()):
        bom.components.add(component)
    top = [python[name] for name in _required(about, EXTRAS)]
    bom.register_dependency(program, [*npm, *top])
    for name, component in python.items():
        bom.register_dependency(component, [python[other] for other in needs[name]])
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    return text + "\n"


def _read(wheel: Path) -> tuple[Message, str]:
    """The metadata of a wheel, and the licences of what its dashboard is made of."""
    with ZipFile(wheel) as archive:
        (about,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        found = [n for n in archive.namelist() if n.endswith(_LICENCES)]
        if not found:
            raise SbomError(f"{wheel.name} has no LICENSES.txt of web_root/vendor/")
        text = archive.read(about).decode()
        return HeaderParser().parsestr(text), archive.read(found[0]).decode()


def npm_components(licences: str, lock: dict[str, Any]) -> list[Component]:
    """What LICENSES.txt of web_root/vendor/ names, as package-lock.json has it.

    Raises SbomError for what it has not.
    """
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import LicenseExpression
    from packageurl import PackageURL

    components = []
    for full in _MADE_OF.findall(licences):
        entry = lock["packages"].get(f"node_modules/{full}")
        if entry is None:
            raise SbomError(f"package-lock.json does not have {full}, of which web_root/vendor/ is")
        scope, _, name = full.rpartition("/")
        purl = PackageURL("npm", scope or None, name, entry["version"])
        digest = base64.b64decode(entry["integrity"].removeprefix("sha512-")).hex()
        components.append(
            Component(
                name=name,
                group=scope or None,
                version=entry["version"],
                purl=purl,
                bom_ref=purl.to_string(),
                licenses=[LicenseExpression(entry["license"])],
                hashes=[HashType(alg=HashAlgorithm.SHA_512, content=digest)],
            )
        )
    return components


def _python_components(about: Message) -> tuple[dict[str, Component], dict[str, list[str]]]:
    """All libraries by name, and which others each needs; what only extras need is optional."""
    from cyclonedx.model.component import ComponentScope, ComponentType

    always = _reached(_required(about, ()))
    needs = _reached(_required(about, EXTRAS))
    components = {}
    for name in needs:
        scope = ComponentScope.REQUIRED if name in always else ComponentScope.OPTIONAL
        components[name] = _component(_installed(name), type=ComponentType.LIBRARY, scope=scope)
    return components, needs


def _reached(names: Iterable[str]) -> dict[str, list[str]]:
    """What is needed by these and by what they need: each name, with those it needs itself."""
    needs: dict[str, list[str]] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in needs:
            needs[name] = _required(_installed(name), ())
            waiting += needs[name]
    return needs


def _required(about: Message, extras: Iterable[str]) -> list[str]:
    """The names of what metadata ask for on this machine, also with these extras."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found = set()
    for line in about.get_all("Requires-Dist", []):
        wanted = Requirement(line)
        if wanted.marker is None or any(
            wanted.marker.evaluate({"extra": e}) for e in ("", *extras)
        ):
            found.add(canonicalize_name(wanted.name))
    return sorted(found)


def _installed(name: str) -> Message:
    try:
        return metadata.metadata(name)  # type: ignore[return-value]  # its protocol says less
    except metadata.PackageNotFoundError:
        raise SbomError(f"{name} is not installed: make release installs it") from None


def _component(about: Message, **more: Any) -> Component:
    """A component of the package index."""
    from cyclonedx.model.component import Component
    from packageurl import PackageURL
    from packaging.utils import canonicalize_name

    purl = PackageURL("pypi", None, canonicalize_name(str(about["Name"])), str(about["Version"]))
    return Component(
        name=str(about["Name"]),
        version=str(about["Version"]),
        purl=purl,
        bom_ref=purl.to_string(),
        licenses=licences(about),
        **more,
    )


def licences(about: Message) -> list[License]:
    """What metadata say of the licence: as SPDX names it, else as the package index does.

    Else what is written as the licence, unless that is a text of many lines.
    """
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.spdx import fixup_id, is_expression

    written = about.get("License-Expression") or about.get("License") or ""
    of_index = [c for c in about.get_all("Classifier", []) if c.startswith("License :: ")]
    make = LicenseFactory()
    in_spdx = bool(written) and (fixup_id(written) or is_expression(written))
    if of_index and not in_spdx:
        return [make.make_with_name(name) for name in of_index]
    return [make.make_from_string(written)] if written and "\n" not in written else []
