"""A real Prometheus as a child process, with its data in a folder of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import wait_until

PROGRAM = shutil.which("prometheus") or "/usr/bin/prometheus"
PROMTOOL = shutil.which("promtool") or "/usr/bin/promtool"

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PrometheusServer:
    """The server, with this file as its configuration. It answers when the block begins."""

    def __init__(self, folder: Path, configuration: Path) -> None:
        self._folder = folder
        self._configuration = configuration
        self.port = free_port()

    def __enter__(self) -> Self:
        with (self._folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    PROGRAM,
                    f"--config.file={self._configuration}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: self._is_ready() or self.process.poll() is not None, "ready")
        assert self.process.poll() is None, (self._folder / "prometheus.log").read_text()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        self.process.wait(WAIT)

    def query(self, promql: str) -> list[dict[str, Any]]:
        """What an instant query gives now; an error of the query fails the test."""
        words = urllib.parse.urlencode({"query": promql})
        try:
            answer = json.loads(self._get(f"/api/v1/query?{words}"))
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{promql}: {error.read()!r}") from None
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def _is_ready(self) -> bool:
        try:
            self._get("/-/ready")
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False
        return True

    def _get(self, path: str) -> bytes:
        with _OPENER.open(f"http://127.0.0.1:{self.port}{path}", timeout=WAIT) as answer:
            data: bytes = answer.read()
            return data
