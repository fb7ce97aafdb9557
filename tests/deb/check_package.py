"""The Debian package, for each release in roots of it, as docs/install.md tells a new user."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deb import units
from tests.deb.manager import Manager
from tests.deb.networked import pbx, seen_calls
from tests.deb.packages import Workshop, contents, make_older
from tests.deb.roots import ENVIRON, LONG, PBX, PLACE, Root, bare
from tests.deb.transcripts import Step, sessions
from tests.support.program import ROOT, wait_until

RELEASES = {"bookworm": "python3.11", "trixie": "python3.13"}
SESSIONS = sessions(ROOT / "docs" / "install.md")

# What apt, dpkg and logrotate write down whatever they do; files of packages that stay are told by
# dpkg.
BOOKS = (
    "var/lib/dpkg/", "var/lib/apt/", "var/cache/", "var/log/apt/", "etc/ssl/certs/",
    "var/lib/logrotate/",
)  # fmt: skip

# What shows things that the program writes a moment after it was told to: a person types later.
LOOKS = "amiws-gevent --audit-verify"

pytestmark = pytest.mark.timeout(2 * LONG)


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def workshop(release: str) -> Iterator[Workshop]:
    with Workshop(release) as workshop:
        yield workshop


@pytest.fixture(scope="module")
def package(workshop: Workshop) -> Path:
    return workshop.build(SESSIONS["build"])


@pytest.fixture
def root(release: str) -> Iterator[Root]:
    with Root(bare(release), PLACE / f"use-{release}") as root:
        root.go_online()
        yield root
    shutil.rmtree(root.path)


def replay(root: Root, steps: list[Step]) -> None:
    """Type the commands of a session, in root's home; each prints what the document shows."""
    for step in steps:
        if step.command.startswith(LOOKS):
            wait_until(functools.partial(shows, root, step), step.command)
            continue
        printed = typed(root, step)
        assert step.fits(printed), f"# {step.command}\n{printed}"


def shows(root: Root, step: Step) -> bool:
    """Whether a command prints what the document shows."""
    return step.fits(typed(root, step))


def typed(root: Root, step: Step) -> str:
    """What a command prints."""
    done = subprocess.run(
        root.command("bash", "-c", f"cd; {step.command}", online=step.command.startswith("apt ")),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=ENVIRON, timeout=LONG, check=False,
    )  # fmt: skip
    return done.stdout


def left(root: Root, before: dict[str, str]) -> list[str]:
    """Paths that were not there before, are of no package, and not in the books of apt and dpkg."""
    owned = {
        line.lstrip("/")
        for listed in (root.path / "var/lib/dpkg/info").glob("*.list")
        for line in listed.read_text().splitlines()
    }
    new = set(root.files()) - set(before) - owned
    return sorted(path for path in new if not path.startswith(BOOKS))


def make_lineage(root: Root, name: str) -> None:
    """A certificate as certbot keeps it: readable for root alone."""
    (root.path / "etc/letsencrypt/renewal-hooks/deploy").mkdir(parents=True, exist_ok=True)
    root.shell(
        "umask 077; mkdir -p /etc/letsencrypt/live/pbx.example.com; "
        "cd /etc/letsencrypt/live/pbx.example.com; openssl req -x509 -nodes -newkey ec "
        f"-pkeyopt ec_paramgen_curve:P-256 -subj /CN={name} -keyout privkey.pem -out fullchain.pem"
    )


def state_module(root: Root) -> str:
    """From where the program has a module of the live state."""
    return root.shell(
        "/usr/lib/amiws-gevent/bin/python3 -I -c"
        " 'import amiws_gevent.state.calls as calls; print(calls.__file__)'"
    )


def shown_certificate(root: Root) -> str:
    """The subject of the certificate that clients get now."""
    return root.shell(
        f"openssl s_client -connect {PBX}:8000 </dev/null 2>/dev/null |"
        " openssl x509 -noout -subject"
    )


def reload_for_certificates(root: Root) -> None:
    """What systemd starts when a file in the folder of amiws-gevent-certificates.path changes."""
    folder = root.path / "usr/lib/systemd/system"
    watching = units.read(folder / "amiws-gevent-certificates.path")
    assert watching["PathChanged"] == ["/etc/amiws/tls"]
    service = units.read(folder / "amiws-gevent-certificates.service")
    for key in ("ExecStartPre", "ExecStart"):
        root.run(*units.command(service, key))


def give_new_certificate(root: Root) -> None:
    """As certbot does: it replaces the files, and calls its hooks."""
    make_lineage(root, "renewed")
    root.shell(
        "RENEWED_LINEAGE=/etc/letsencrypt/live/pbx.example.com "
        "/etc/letsencrypt/renewal-hooks/deploy/amiws-gevent"
    )
    reload_for_certificates(root)


def test_from_a_bare_root_to_purge(root: Root, release: str, package: Path, tmp_path: Path) -> None:
    home = root.path / "root"
    older = make_older(package, tmp_path)
    root.run("apt-get", "install", "-qq", "--yes", "openssl", "curl", online=True)
    assert not list(root.path.glob("usr/bin/python3*"))
    before, accounts = root.files(), (root.path / "etc/passwd").read_text()
    with Manager(root) as manager, pbx(root):
        shutil.copy(older, home)
        replay(root, SESSIONS["install"])
        depends = root.shell("dpkg-query -W -f '${Depends}' amiws-gevent")
        assert RELEASES[release] in depends.split(", ")
        assert root.shell("systemctl is-enabled amiws-gevent") == "enabled\n"
        assert state_module(root).endswith(".so\n"), "the live state is not compiled"
        status = Path(f"/proc/{manager.service.pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        assert seen_calls(root, "http://127.0.0.1:8000/") > 0

        replay(root, SESSIONS["others"])
        make_lineage(root, "first")
        replay(root, SESSIONS["tls"])
        assert "first" in shown_certificate(root)
        give_new_certificate(root)
        assert "renewed" in shown_certificate(root)

        replay(root, SESSIONS["audit"])
        files = sorted(path.name for path in (root.path / "var/log/amiws").glob("audit.jsonl*"))
        assert len(files) == 2, "one was moved, and the program went on with a new one"
        journal = root.path / "var/log/amiws/journal"
        wait_until(lambda: list(journal.glob("*.jsonl")), "a file of the journal")

        configured = (root.path / "etc/amiws.yaml").read_text()
        (home / older.name).unlink()
        shutil.copy(package, home)
        replay(root, SESSIONS["upgrade"])
        assert (root.path / "etc/amiws.yaml").read_text() == configured
        assert manager.ended == [0], "the older one was ended as asked, and a new one started"
        assert manager.log.count("listening on http") >= 2
        assert not (root.path / "usr/lib/amiws-gevent/bin/gone-in-the-next").exists()
        assert root.shell("stat -c '%U:%G %a' /etc/amiws.yaml") == "root:amiws 640\n"

        replay(root, SESSIONS["purge"])
        assert manager.ended == [0, 0], "the service was stopped before its files went"
        (home / package.name).unlink()
        shutil.rmtree(root.path / "etc/letsencrypt")
        root.run("apt-get", "autoremove", "-qq", "--purge", "--yes")
    assert left(root, before) == []
    assert (root.path / "etc/passwd").read_text() == accounts


def test_a_configuration_of_amiws_is_kept(root: Root, package: Path) -> None:
    """The C program has the same file, which every user may read there."""
    text = (ROOT / "etc" / "amiws.yaml").read_text()
    file = root.path / "etc/amiws.yaml"
    file.write_text(text)
    shutil.copy(package, root.path / "root")
    root.shell("cd; apt-get install -qq --yes ./*.deb", online=True)
    assert file.read_text() == text
    assert root.shell("stat -c '%U:%G %a' /etc/amiws.yaml") == "root:amiws 640\n"
    assert not (root.path / "etc/amiws/pbx.secret").exists()


def test_built_again_it_is_the_same(workshop: Workshop, package: Path) -> None:
    """Later, in another folder, by somebody with another umask."""
    again = workshop.build(SESSIONS["build"][-1:], "/srv/of-another/clone", 0o077)
    once, twice = contents(package), contents(again)
    assert [path for path in once | twice if once.get(path) != twice.get(path)] == []
    assert again.read_bytes() == package.read_bytes(), "its control files differ"


def test_lintian_has_no_error(package: Path) -> None:
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error", package],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_unit_is_hardened(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path], check=True)
    (unit,) = tmp_path.glob("**/systemd/system/amiws-gevent.service")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=17", "--no-pager", unit],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
