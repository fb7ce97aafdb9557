"""What packages and images are made of fits together. `make test-deb` builds them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from amiws_gevent.config import load_settings
from tests.deb.images import instructions
from tests.deb.transcripts import sessions

ROOT = Path(__file__).parent.parent.parent
DEBIAN = ROOT / "debian"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SCRIPTS = [
    *(ROOT / "scripts").rglob("*.sh"),
    ROOT / "contrib" / "certbot" / "amiws-gevent",
    DEBIAN / "amiws-gevent.postinst",
    DEBIAN / "amiws-gevent.postrm",
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_what_a_shell_reads(script: Path) -> None:
    done = subprocess.run(["sh", "-n", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_configuration_of_the_package_has_no_secret_and_names_hosts(tmp_path: Path) -> None:
    text = (DEBIAN / "amiws.yaml").read_text(encoding="utf-8")
    assert "secret:" not in text
    secret = tmp_path / "pbx.secret"
    secret.write_text("sesame\n")
    secret.chmod(0o640)
    file = tmp_path / "amiws.yaml"
    state = Path("/var/lib/amiws/state.json")
    assert f"state_file: {state}\n" in text  # of StateDirectory of the unit
    text = text.replace(str(state), str(tmp_path / state.name))
    file.write_text(text.replace("/etc/amiws/pbx.secret", str(secret)))
    result = load_settings(file)
    assert result.warnings == []
    assert result.settings.allowed_hosts == ()
    assert result.settings.ws_host == "127.0.0.1"


def test_the_configuration_of_the_container_is_valid_with_a_server(tmp_path: Path) -> None:
    text = (ROOT / "contrib" / "container" / "amiws.yaml").read_text(encoding="utf-8")
    host = "amihosts: [{name: pbx, host: pbx, username: amiws, secret: sesame}]\n"
    file = tmp_path / "amiws.yaml"
    file.write_text(text + host)
    settings = load_settings(file).settings
    assert settings.allowed_hosts == ()
    assert settings.metrics_listen is not None
    health = (ROOT / "scripts" / "container" / "health.sh").read_text(encoding="utf-8")
    assert f"http://127.0.0.1:{settings.metrics_listen.port}/readyz" in health


def test_each_step_of_the_image_is_a_script_of_ours() -> None:
    steps = instructions(ROOT / "Dockerfile")
    run = [rest for word, rest in steps if word == "RUN"]
    assert run == [
        "/src/scripts/container/build.sh",
        "/usr/lib/amiws-gevent/container/setup.sh",
    ]
    copied = (ROOT / "scripts" / "container" / "build.sh").read_text(encoding="utf-8")
    for word, rest in steps:
        if word in ("ENTRYPOINT", "HEALTHCHECK"):
            name = rest.rpartition("/container/")[2].partition(".sh")[0]
            assert name in copied.partition("for script in ")[2].partition(";")[0].split()


def test_compose_mounts_files_that_are_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_file(), source
            else:
                assert source in COMPOSE["volumes"]


def test_compose_publishes_for_this_machine_alone() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_document_has_all_sessions() -> None:
    """Those that `make test-deb` types."""
    assert list(sessions(ROOT / "docs" / "install.md")) == [
        "build", "install", "others", "tls", "audit", "upgrade", "purge",
    ]  # fmt: skip
