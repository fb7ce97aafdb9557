"""The running program is what its OpenAPI document says: schemathesis asks it, the same each time.

The two streams do not end, so they are left out; tests/integration/test_api.py has them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from amiws_gevent.web.tokens import make_token
from tests.integration.test_api import configuration, queue_status, tokens
from tests.support.ami_server import AmiServer
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host

# Past what schemathesis expects of a request that fits the schema: a list that is forgotten, a
# request line that is too long, a key of another request. Of an action no schema can say it all;
# a token has no session to log out of.
SETTINGS = """\
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "410", "414", "422", "429"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "410", "413", "414", "415", "422", "429"]

[[operations]]
include-name = "POST /api/v1/actions"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "403", "404", "422", "429"]

[[operations]]
include-name = "POST /api/v1/logout"
checks.positive_data_acceptance.expected-statuses = ["400"]
"""


def test_the_program_keeps_to_its_document(tmp_path: Path) -> None:
    token = make_token()
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    with AmiServer(on_action=queue_status) as ami:
        for folder in ("log", "keys"):
            (tmp_path / folder).mkdir()
        audit = f"audit: {{file: {tmp_path}/log/audit, key_file: {tmp_path}/keys/key, fsync: no}}\n"
        text = configuration(ami_host(ami.port), more=audit + tokens(tests=token))
        with Program(tmp_path, text) as program:
            ami.wait_login()
            program.wait_for_log("connected to")
            asked = subprocess.run(
                [
                    str(Path(sys.executable).with_name("st")),
                    *("--config-file", str(tmp_path / "schemathesis.toml"), "run"),
                    f"http://127.0.0.1:{program.port}/api/v1/openapi.json",
                    *("--header", f"Authorization: Bearer {token}"),
                    *("--exclude-path", "/api/v1/state", "--exclude-path", "/api/v1/events"),
                    *("--generation-deterministic", "--max-examples", "25"),
                    *("--workers", "1", "--request-timeout", "30", "--no-color"),
                ],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=3 * WAIT,
                check=False,
            )
            assert asked.returncode == 0, asked.stdout[-20_000:] + asked.stderr
            assert "Selected: 7/9" in asked.stdout
            assert "Tested: 7" in asked.stdout
            assert token not in program.log
