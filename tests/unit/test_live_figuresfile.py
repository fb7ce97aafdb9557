"""The file of the queues' figures; how files are read and written: test_runtime_statefile.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.live.figuresfile import FiguresFile, name_of
from tests.support.hosts import ami_host

FIGURES = {"1 pbx:5038": {"day": "2026-11-29", "queues": {}}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def test_what_was_written_is_read(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert FiguresFile(path).read() == {}
    FiguresFile(path).write(FIGURES)
    assert FiguresFile(path).read() == FIGURES
    assert caplog.records == []


@pytest.mark.parametrize("content", ["", '{"form": 2, "servers": {}}', '{"form": 1, "servers": 3}'])
def test_a_broken_file_costs_the_figures_alone(
    path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(content)
    assert FiguresFile(path).read() == {}
    assert f"state_file {path} cannot be read" in caplog.text


def test_one_that_cannot_be_written_is_told_once_a_minute(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = FiguresFile(path / "deeper" / "state.json")
    for _ in range(3):
        file.write(FIGURES)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "cannot be written (No such file or directory)" in line


def test_figures_are_of_a_server_at_an_address() -> None:
    first = name_of(ami_host(id=1, host="a"))
    assert first != name_of(ami_host(id=2, host="a"))
    assert first != name_of(ami_host(id=1, host="b"))
    assert first == name_of(ami_host(id=1, host="a", name="renamed"))
