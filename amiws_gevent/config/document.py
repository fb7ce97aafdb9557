"""A YAML document as text with places, before its keys are interpreted.

Scalars stay the text of the file, as libyaml's tokens are for amiws: a secret
``0123``, ``yes`` or ``1e5`` is that text. Nothing here knows a key's meaning,
and no message shows a value: it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from amiws_gevent.config import syntax
from amiws_gevent.config.problems import ConfigError, Place, Problem
from amiws_gevent.runtime.loop import Pieces
from amiws_gevent.values import Scalar, names_secret

_YAML = "tag:yaml.org,2002:"
_TAGS = frozenset(
    _YAML + name
    for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge", "map", "seq")
)
_MERGE = _YAML + "merge"

DEEPEST = 20  # lists and mappings within each other
MOST_VALUES = 100_000  # of one Tree; YAML's aliases can make many of a few lines

_REPLACED = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}")

# Behind the end of a plain scalar: where YAML begins a comment, and amiws too.
_CUT = re.compile(r" +#")


def read_text(path: Path) -> str:
    """The file's text. Raises ConfigError saying why there is none."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise _whole(path, 0, "does not exist; name the file with --file") from None
    except IsADirectoryError:
        raise _whole(path, 0, "is a folder, not a file; name the file with --file") from None
    except PermissionError:
        raise _whole(path, 0, "cannot be read by the user this runs as") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _whole(path, line, "is not UTF-8 text; save it in that encoding") from None
    except OSError as error:
        raise _whole(path, 0, f"cannot be read: {error.strerror}") from None


class _Loader(yaml.SafeLoader):
    """Composes in pieces: 200 servers take 0.1 s, in which links must be read."""

    pieces: Pieces

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.pieces.between()
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def compose(path: Path, text: str, pieces: Pieces | None = None) -> yaml.MappingNode:
    """The document's nodes, of which the topmost is a mapping. Raises ConfigError."""
    try:
        loader = _Loader(text)
        loader.pieces = pieces or Pieces()
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _whole(path, *syntax.explained(text, error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _whole(path, line, "has a control character, which YAML does not allow") from None
    except RecursionError:
        raise _whole(path, 0, "is nested too deeply") from None
    if root is None or is_nothing(root):
        raise _whole(path, 0, "is empty; it needs at least amihosts, the list of servers")
    if not isinstance(root, yaml.MappingNode):
        slip = syntax.missing_blank(text.splitlines()[root.start_mark.line])
        message = slip or "must have keys with values (`key: value`) at the top"
        raise _whole(path, line_of(root), message)
    return root


class Reader:
    """Takes nodes apart, and keeps what is wrong with them and the line of each place.

    ``problems`` and ``warnings`` are of the document alone (duplicate keys, tags,
    unset variables), each with its place.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.lines: dict[Place, int] = {}
        self.problems: list[tuple[Place, str]] = []
        self.warnings: list[tuple[Place, str]] = []

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest thing round it that is in the file."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 0)

    def problem(self, place: Place, message: str) -> None:
        self.problems.append((place, message))

    def warn(self, place: Place, message: str) -> None:
        self.warnings.append((place, message))

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, yaml.Node]:
        """The values by key. Of a key given twice the last counts, as in amiws."""
        self._check_tag(node, place)
        self.lines.setdefault(place, line_of(node))
        found = self._merged(node, place, ())
        self.lines.update({(*place, key): line for key, (line, _) in found.items()})
        return {key: value for key, (_, value) in found.items()}

    def sequence(self, node: yaml.SequenceNode, place: Place) -> list[yaml.Node]:
        """The items, in order."""
        self._check_tag(node, place)
        items: list[yaml.Node] = node.value
        self.lines.update({(*place, index): line_of(item) for index, item in enumerate(items)})
        return items

    def scalar(self, node: yaml.ScalarNode, place: Place) -> Scalar | None:
        """The text with ``${NAME}`` replaced; None where there is a key and no value."""
        self._check_tag(node, place)
        if is_nothing(node):
            return None
        if _is_cut_secret(node, place):
            self.warn(
                place,
                "ends before the #, which begins a comment; if the # belongs to the secret, put "
                "it in quotes, else put the secret alone in quotes",
            )
        unset: list[str] = []

        def value_of(match: re.Match[str]) -> str:
            if match[1]:
                return match[0][1:]
            if match[2] not in self._environ:
                unset.append(match[2])
            return self._environ.get(match[2], match[0])

        written: str = node.value
        text = _REPLACED.sub(value_of, written)
        for name in dict.fromkeys(unset):
            self.problem(
                place,
                f"the environment variable {name} is not set; set it, or write $${{{name}}} "
                "if the text itself is meant",
            )
        return Scalar(text, written)

    def _merged(
        self, node: yaml.MappingNode, place: Place, within: tuple[int, ...]
    ) -> dict[str, tuple[int, yaml.Node]]:
        """Keys with their lines; those of ``<<`` count where the mapping has none itself."""
        own: dict[str, tuple[int, yaml.Node]] = {}
        merged: dict[str, tuple[int, yaml.Node]] = {}
        for key_node, value in node.value:
            if key_node.tag == _MERGE:
                for key, entry in self._merge(value, place, (*within, id(node))).items():
                    merged.setdefault(key, entry)
                continue
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in _TAGS:
                line = line_of(key_node)
                self.problem(place, f"has a key that is not plain text in line {line}")
                continue
            name = key_node.value
            if name in own:
                line = own[name][0]
                self.warn((*place, name), f"is given twice; the value of line {line} is ignored")
            own[name] = (line_of(key_node), value)
        return merged | own

    def _merge(
        self, node: yaml.Node, place: Place, within: tuple[int, ...]
    ) -> dict[str, tuple[int, yaml.Node]]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, tuple[int, yaml.Node]] = {}
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                self.problem(place, "<< takes a mapping or a list of mappings (`<<: *name`)")
            elif id(source) in within:
                self.problem(place, "<< merges a mapping into itself")
            else:
                for key, entry in self._merged(source, place, within).items():
                    found.setdefault(key, entry)
        return found

    def _check_tag(self, node: yaml.Node, place: Place) -> None:
        if node.tag not in _TAGS:
            self.problem(
                place,
                "has a YAML tag, which is not supported; text that begins with ! must be in quotes",
            )


class TooMuch(Exception):
    """A tree that is not taken apart to the end; ``str()`` says why."""


class Tree:
    """Reads all that is at places under which names stand that are not ours, and counts it.

    Mappings, lists and scalars, as deep as the file has them.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._values = 0

    def read(self, node: yaml.Node, place: Place, within: tuple[int, ...] = ()) -> object:
        """What is at one place. Raises TooMuch, also for the sum of all that was read."""
        self._values += 1
        if self._values > MOST_VALUES:
            raise TooMuch(f"has more than {MOST_VALUES:,} values")
        if id(node) in within:
            raise TooMuch("has a list or mapping that contains itself")
        if len(within) == DEEPEST:
            raise TooMuch(f"is nested more than {DEEPEST} deep")
        within = (*within, id(node))
        if isinstance(node, yaml.MappingNode):
            found = self._reader.mapping(node, place)
            return {key: self.read(value, (*place, key), within) for key, value in found.items()}
        if isinstance(node, yaml.SequenceNode):
            items = self._reader.sequence(node, place)
            return [self.read(item, (*place, at), within) for at, item in enumerate(items)]
        assert isinstance(node, yaml.ScalarNode)
        return self._reader.scalar(node, place)


def line_of(node: yaml.Node) -> int:
    """The line in which a node begins, from 1."""
    line: int = node.start_mark.line
    return line + 1


def is_nothing(node: yaml.Node) -> bool:
    """Whether there is no value at all (as against empty quotes)."""
    return isinstance(node, yaml.ScalarNode) and node.value == "" and node.style is None


def _is_cut_secret(node: yaml.ScalarNode, place: Place) -> bool:
    """Whether a secret without quotes has a comment behind it, which may belong to it."""
    if node.style is not None or not any(names_secret(str(step)) for step in place):
        return False
    end: yaml.Mark = node.end_mark
    return end.buffer is not None and _CUT.match(end.buffer, end.pointer) is not None


def _whole(path: Path, line: int, message: str) -> ConfigError:
    return ConfigError(path, [Problem(line, "", message)])
