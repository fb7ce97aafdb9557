"""The program with roles, users who log in with a password, and scripted servers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from requests.auth import HTTPDigestAuth

from tests.support.ami_server import AmiServer
from tests.support.patience import WAIT
from tests.support.program import ROOT, Program, ami_host, configuration
from tests.support.v2_client import V2Client
from tests.support.ws_client import Client

REALM = "call centre"


def sample_roles() -> str:
    """The roles of the annotated sample, with their keys taken in."""
    text = (ROOT / "etc" / "amiws-annotated.yaml").read_text(encoding="utf-8")
    text = text[text.index("#roles:\n") : text.index("# Users by the name")]
    return re.sub(r"^( *)#(?=\S)", r"\1", text, flags=re.MULTILINE)


def users(given: Mapping[str, str]) -> str:
    """The key ``users``, of their texts by name."""
    return "users:\n" + "".join(f"  {name}: {user}\n" for name, user in given.items())


def ha1(user: str) -> str:
    """What the htdigest file has of a user, whose password is ``secret NAME``."""
    return hashlib.md5(f"{user}:{REALM}:secret {user}".encode()).hexdigest()


class RoleSite:
    """Servers are named pbx1, pbx2 …; they are started and stopped by whoever made them."""

    program: Program

    def __init__(self, folder: Path, names: Iterable[str], servers: Sequence[AmiServer]) -> None:
        self.folder = folder
        self.servers = servers
        lines = [f"{user}:{REALM}:{ha1(user)}\n" for user in names]
        (folder / "users.htdigest").write_text("".join(lines))

    def configuration(self, more: str, limits: str = "") -> str:
        """A file with the login; ``more`` is YAML with roles and users, ``limits`` some limits."""
        login = f"auth_domain: {REALM}\nauth_file: {self.folder}/users.htdigest\n"
        most = f"limits: {{actions_per_second: 100000, actions_burst: 100000{limits}}}\n"
        hosts = [ami_host(server.port, f"pbx{n}") for n, server in enumerate(self.servers, 1)]
        return configuration(*hosts, more=login + most + more)

    def start(self, program: Program) -> None:
        """The program has started with this configuration."""
        self.program = program
        for server in self.servers:
            server.wait_login()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.program.port}"

    def browser(self, user: str) -> requests.Session:
        session = requests.Session()
        session.auth = HTTPDigestAuth(user, "secret " + user)
        return session

    def cookie(self, user: str) -> dict[str, str]:
        """The header with the session of a user."""
        with self.browser(user) as session:
            session.get(self.url + "/api/v1/openapi.json", timeout=WAIT)
            assert session.get(self.url, timeout=WAIT).status_code in (200, 404)
            text = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
        return {"Cookie": text}

    def classic(self, user: str) -> Client:
        return Client(self.program.port, additional_headers=self.cookie(user))

    def v2(self, user: str) -> V2Client:
        return V2Client(self.program.port, additional_headers=self.cookie(user))

    def get(self, user: str, path: str) -> requests.Response:
        return self.browser(user).get(f"{self.url}{path}", timeout=WAIT)

    def post(self, user: str, **body: Any) -> requests.Response:
        return self.browser(user).post(f"{self.url}/api/v1/actions", json=body, timeout=WAIT)
