"""Makes an sdist the same bytes whenever and by whomever it is built from the same files."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path


def repack(archive: Path, time: int) -> None:
    """Write a .tar.gz anew: in the order of names, of nobody, with ``time`` (seconds, Unix).

    Modes are 0755 for folders and what may be run, 0644 for the rest, whatever the umask was.
    """
    packed = io.BytesIO()
    with (
        tarfile.open(archive) as old,
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=time) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            new.addfile(_plain(member, time), old.extractfile(member) if member.isfile() else None)
    archive.write_bytes(packed.getvalue())


def _plain(member: tarfile.TarInfo, time: int) -> tarfile.TarInfo:
    """The member without what is of one machine."""
    mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    plain = member.replace(mtime=time, mode=mode, uid=0, gid=0, uname="", gname="")
    plain.pax_headers = {}  # times with fractions
    return plain
