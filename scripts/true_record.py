"""Have RECORD of installed libraries say what is there: scripts/true_record.py FOLDER.

pip writes RECORD (packaging.python.org, "Recording installed projects"). What is stripped or edited
after that has another hash and size, and what is removed is not there. FOLDER is searched for
``*.dist-info``.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import sys
from pathlib import Path

MOST = 1024 * 1024  # bytes that are read at once


def digest_of(path: Path) -> str:
    """As RECORD has it: ``sha256=`` and base64 without its end."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(MOST):
            made.update(data)
    return f"sha256={base64.urlsafe_b64encode(made.digest()).decode().rstrip('=')}"


def made_true(record: Path) -> str:
    """A RECORD as its files are now; files that had no hash, as itself, get none."""
    site = record.parent.parent
    with record.open(encoding="utf-8", newline="") as file:
        rows = [(row, site / row[0]) for row in csv.reader(file) if row]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for (name, digest, *_), path in rows:
        if path.is_file():
            told = (digest_of(path), path.stat().st_size) if digest else ("", "")
            writer.writerow([name, *told])
    return text.getvalue()


def main(folder: Path) -> None:
    """Rewrite those that are not true."""
    records = sorted(folder.rglob("*.dist-info/RECORD"))
    if not records:
        sys.exit(f"{folder}: no library is installed there")
    for record in records:
        text = made_true(record)
        if text.encode() != record.read_bytes():
            record.write_text(text, encoding="utf-8", newline="")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
