"""Files that are never served, in whatever folder and by whatever name.

A private path is a file, or a folder with all files in it; a file's backups are private
too. Files are compared by device and inode, so that links, other spellings of a path and
file systems without case make no difference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

# What programs and people add to the name of an old version of a file:
# editors (~, .~1~, .save), diff and patch (.orig, .rej), dpkg, ucf, rpm and pacman, logrotate
# (.1, -20261122, .gz), and everybody (.bak, _old, " (copy)", .2026-11-22).
_ENDING = (
    r"(?:\.?~[0-9]*~?"
    r"|[ ._-]*\(?(?:bak|backup|back|old|orig|original|copy|save|saved|rej|tmp|temp|new|prev)"
    r"[0-9]*\)?"
    r"|\.(?:dpkg|ucf|rpm|pac|cfg|merge)[a-z_-]*[0-9]*"
    r"|[ ._-]+\(?[0-9]+(?:[t:._-][0-9]+)*\)?"
    r"|\.(?:gz|bz2|xz|zst|lz4|z|zip|7z|tar|tgz|asc|gpg)"
    r"|\.sw[a-p]|\.pyc|,v)"
)


class PrivateFiles:
    """The private paths of one configuration; each file is checked before it is sent."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        # As named and as it is: a backup lies beside the one or the other. No file has a NUL.
        usable = [path for path in paths if "\0" not in str(path)]
        spelt = [name for path in usable for name in (path, Path(os.path.realpath(path)))]
        self._paths = list(dict.fromkeys(spelt))
        self._backups = [(path.parent, _backup_of(path)) for path in self._paths if path.name]

    def holds(self, file: Path, status: os.stat_result, root: Path) -> bool:
        """Whether ``file``, a real path in the real folder ``root``, is private.

        ``status`` is that of the open file. A private folder that is the root, or that the
        root lies in, does not make the whole root private.
        """
        folders = [_stat(folder) for folder in file.parents if folder.is_relative_to(root)][:-1]
        within = [status, *(folder for folder in folders if folder is not None)]
        for path in self._paths:
            found = _stat(path)
            if found is not None and any(os.path.samestat(found, each) for each in within):
                return True
        if self._is_backup(file):
            return True
        return status.st_nlink > 1 and self._has_other_name(status, root)

    def _is_backup(self, file: Path) -> bool:
        name = file.name.casefold()
        here = _stat(file.parent)
        for folder, backup in self._backups:
            if backup.fullmatch(name) and here is not None:
                found = _stat(folder)
                if found is not None and os.path.samestat(found, here):
                    return True
        return False

    def _has_other_name(self, status: os.stat_result, root: Path) -> bool:
        """Whether a file of several names (hard links) has one that is private."""
        for name in self._private_names(root):
            found = _stat(name)
            if found is not None and os.path.samestat(found, status):
                return True
        return False

    def _private_names(self, root: Path) -> Iterator[Path]:
        """The existing backups, and the files in private folders."""
        for path in self._paths:
            if os.path.realpath(path) != str(root):
                yield from _listed(path)
        for folder, backup in self._backups:
            yield from (path for path in _listed(folder) if backup.fullmatch(path.name.casefold()))


def _backup_of(path: Path) -> re.Pattern[str]:
    """What a backup of the file may be called, in lower case: ``a.yaml.bak``, ``a-old.yaml``."""
    name = re.escape(path.name.casefold())
    stem, suffix = re.escape(path.stem.casefold()), re.escape(path.suffix.casefold())
    return re.compile(
        # Possessive, lest a long name be cut into endings in every way there is.
        rf"{name}{_ENDING}++|{stem}{_ENDING}++(?:{suffix})?"
        rf"|\.{name}\.sw.|\.?#{name}#?|(?:copy of|backup of) {name}"
    )


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
