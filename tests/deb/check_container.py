"""The container image: its Dockerfile carried out in roots, and its containers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.deb.images import Container, Image, build
from tests.deb.networked import seen_calls
from tests.deb.roots import LONG
from tests.support.program import ROOT

pytestmark = pytest.mark.timeout(2 * LONG)

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
VOLUME = "/var/lib/amiws"


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    image = build(ROOT / "Dockerfile")
    with image.root:
        yield image
    shutil.rmtree(image.root.path)


def put_in_place(image: Image, service: dict[str, list[str]]) -> None:
    """The files that compose.yaml mounts into the container."""
    for volume in service["volumes"]:
        source, target, *_ = volume.split(":")
        if source.startswith("./"):
            shutil.copy(ROOT / source, image.root.path / target.lstrip("/"))


def test_the_demo_of_compose(image: Image) -> None:
    """Read-only root, no rights, log to standard output, and an end as asked."""
    service = COMPOSE["services"]["amiws"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert f"amiws:{VOLUME}" in service["volumes"]
    put_in_place(image, service)
    with Container(image, VOLUME, *service["command"]) as container:
        assert not container.is_healthy(), "nothing is ready as soon as it starts"
        container.wait_until_healthy()
        status = Path(f"/proc/{container.pid}/status").read_text()
        assert f"Uid:\t{image.user.partition(':')[0]}\t" in status
        assert "CapBnd:\t0000000000000000" in status
        assert seen_calls(image.root, "http://127.0.0.1:8000/") > 0
        assert "listening on http" in container.log
        # Not 70: within 5 seconds the program ends itself, after that it is ended by force.
        assert container.stop() == 0
        assert not container.is_healthy()
    assert (image.root.path / VOLUME.lstrip("/") / "state.json").exists()


def test_a_container_without_a_configuration_says_so(image: Image) -> None:
    (image.root.path / "etc/amiws.yaml").unlink(missing_ok=True)
    with Container(image, VOLUME) as container:
        assert container.wait() == 78
        assert "/etc/amiws.yaml" in container.log
