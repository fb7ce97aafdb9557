"""What the command line answers, and ends: ``--plugins``, ``--token``, ``--audit-verify``."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from amiws_gevent import cli
from amiws_gevent.config import Settings
from amiws_gevent.web.tokens import hash_of
from tests.support.audit import a_file
from tests.support.command_line import CONFIGURATION, HOST, Server

pytestmark = pytest.mark.usefixtures("command_line")


class TestPlugins:
    PLUGIN = """\
from pydantic import SecretStr
from amiws_gevent.plugins.api import PluginSettings
import amiws_gevent.ami

class Settings(PluginSettings):
    number: int = 3
    key: SecretStr

class Plugin:
    REQUIRED = True

    def amiws_settings(self):
        return Settings

    def amiws_startup(self):
        raise AssertionError("started")

    def amiws_transform_message(self):
        pass
"""

    def test_what_is_loaded_from_where_with_which_hooks_and_settings(
        self, file: Path, servers: list[Server], capsys: pytest.CaptureFixture[str]
    ) -> None:
        plugin = file.parent / "mine.py"
        plugin.write_text(self.PLUGIN)
        file.write_text(
            f"plugins:\n- {plugin}: {{key: s3cret, hook_timeout: 1 s}}\n"
            f"- event_filter: {{deny: VarSet}}\n{CONFIGURATION}"
        )
        assert cli.main(["--plugins", "-f", str(file)]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        lines = said.out.splitlines()
        assert lines[:5] == [
            f"{plugin} (required)",
            f"  from      {plugin}",
            "  hooks     amiws_settings, amiws_startup, amiws_transform_message",
            "  settings  Settings(number=3, key=SecretStr('**********'))",
            "  timeout   1 s",
        ]
        assert lines[5] == "event_filter"
        assert "amiws_filter_message" in lines[7]
        assert servers == []

    def test_none(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["--plugins", "-f", str(file)]) == 0
        assert capsys.readouterr().out == f"{file}: no plugins\n"

    @pytest.mark.parametrize("option", ["--plugins", "--check"])
    def test_a_wrong_one_is_told_with_name_file_and_line(
        self, file: Path, option: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        plugin = file.parent / "mine.py"
        plugin.write_text("X = 1\ndef amiws_filter_mesage():\n    pass\n")
        file.write_text(f"plugins:\n- {plugin}\n{CONFIGURATION}")
        assert cli.main([option, "-f", str(file)]) == 78
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == (
            f"{file}:2: plugins[0]: plugin {plugin}: {plugin}:2: there is no hook "
            "amiws_filter_mesage; did you mean amiws_filter_message?\n"
        )


class TestToken:
    def test_it_is_told_once_with_its_lines(
        self, capsys: pytest.CaptureFixture[str], servers: list[Server], tmp_path: Path
    ) -> None:
        assert cli.main(["--token", "crm", "-f", str(tmp_path / "none")]) == 0
        said = capsys.readouterr().out
        (token,) = [line.strip() for line in said.splitlines() if line.startswith("    amiws_")]
        lines = yaml.safe_load(said[said.index("api_tokens:") :])
        (made,) = Settings.model_validate({**lines, "amihosts": [HOST]}).api_tokens
        assert (made.name, made.hash) == ("crm", hash_of(token))
        assert said.count(token) == 1
        assert servers == []

    def test_each_is_another(self, capsys: pytest.CaptureFixture[str]) -> None:
        cli.main(["--token", "crm"])
        first = capsys.readouterr().out
        cli.main(["--token", "crm"])
        assert capsys.readouterr().out != first

    @pytest.mark.parametrize("name", ["", "a b", "a:b", "-x=", "x" * 65, "ä"])
    def test_what_is_no_name(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main([f"--token={name}"])
        assert caught.value.code == 2
        said = capsys.readouterr()
        assert "--token: must" in said.err
        assert said.out == ""


class TestAudit:
    def test_keys_and_heads_alone_mean_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        for option in ("--audit-key", "--audit-head"):
            with pytest.raises(SystemExit) as caught:
                cli.main([option, "x"])
            assert caught.value.code == 2
            assert f"{option} needs --audit-verify" in capsys.readouterr().err

    def test_without_an_audit_there_is_no_key(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["-f", str(file), "--audit-verify", "x"])
        assert caught.value.code == 2
        assert "name its key with --audit-key" in capsys.readouterr().err

    def test_it_is_verified(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        key = tmp_path / "key"
        key.write_text("k" * 32)
        key.chmod(0o600)
        lines, head = a_file(None, 3)
        audit = tmp_path / "audit"
        audit.write_bytes(b"".join(lines))
        words = ["--audit-verify", str(audit), "--audit-key", str(key)]
        assert cli.main([*words, "--audit-head", str(head)]) == 0
        assert "4 records" in capsys.readouterr().out
        audit.write_bytes(b"".join([lines[0], *lines[2:]]))
        assert cli.main(words) == 65
        assert "WRONG" in capsys.readouterr().out
        assert cli.main([*words[:3], str(tmp_path / "none")]) == 73
        assert "No such file" in capsys.readouterr().err
