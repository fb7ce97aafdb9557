"""The words of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent import __version__, cli
from amiws_gevent.options import CONFIG_FILE, PID_FILE, parser

pytestmark = pytest.mark.usefixtures("command_line")


class TestOptions:
    def test_the_defaults_are_those_of_amiws(self) -> None:
        options = parser().parse_args([])
        assert (Path("/etc/amiws.yaml"), Path("/tmp/amiws.pid")) == (CONFIG_FILE, PID_FILE)
        assert options.wdir == Path("/tmp")
        assert (options.daemon, options.check, options.demo) == (False, False, None)

    @pytest.mark.parametrize(
        "words",
        [
            ["-f", "/f", "-d", "-p", "/p", "-D", "/w"],
            ["-f/f", "-dp/p", "-D/w"],
            ["--file", "/f", "--daemon", "--pidfile", "/p", "--wdir", "/w"],
            ["--file=/f", "--daemon", "--pidfile=/p", "--wdir=/w"],
        ],
    )
    def test_each_spelling_that_getopt_takes(self, words: list[str]) -> None:
        options = parser().parse_args(words)
        assert options.daemon
        assert [options.file, options.pidfile, options.wdir] == [
            Path(p) for p in ("/f", "/p", "/w")
        ]

    @pytest.mark.parametrize("words", [["-x"], ["--none"], ["-f"], ["extra"], ["-d", "extra"]])
    def test_wrong_words_end_with_a_message_and_status_2(
        self, words: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(words)
        assert caught.value.code == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("usage: amiws-gevent")
        assert "error:" in said.err

    @pytest.mark.parametrize("word", ["-h", "--help"])
    def test_help_names_every_option(self, word: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main([word])
        assert caught.value.code == 0
        said = capsys.readouterr().out
        for option in ("-h", "-f", "-d", "-p", "-D", "--check", "--demo", "--version"):
            assert option in said

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["--version"])
        assert caught.value.code == 0
        assert capsys.readouterr().out == f"amiws-gevent {__version__}\n"
