"""The entries of ``plugins:``, their settings, and what is said of wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.config import load_settings
from amiws_gevent.plugins.entry import PluginEntry
from tests.support import config
from tests.support.plugins import write

SETTINGS = """
from typing import Literal
from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator, model_validator
from amiws_gevent.plugins.api import AnyPath, PluginSettings, SettingError

class Inner(PluginSettings):
    deep: int = 0

class Settings(PluginSettings):
    number: int
    names: list[str] = []
    inner: Inner = Inner()
    secret: SecretStr = SecretStr("")
    mapping: dict[str, str] = {}
    either: int | list[int] = 1
    anything: object = None
    word: str | None = Field(None, alias="the-word")
    inners: list[Inner] = []
    named: dict[str, Inner] = {}
    flag: bool = False
    factor: float = Field(5, ge=1)
    choice: Literal["a", "b"] = "a"
    short: str = Field("", max_length=2)
    newer: int = Field(0, validation_alias=AliasChoices("newer", "older"))
    file: AnyPath | None = None

    @model_validator(mode="after")
    def _flagged(self):
        if self.flag and self.factor != 1:
            raise SettingError("factor", "must be 1 with a flag")
        return self

    @field_validator("number")
    @classmethod
    def _even(cls, number):
        if number == 13:
            raise ValueError("must not be 13;\\ntake 12")
        if number == 14:
            raise RuntimeError("a fault of the plugin")
        return number

def amiws_settings():
    return Settings
"""
FILTER = "def amiws_filter_message():\n    pass\n"


def entries(
    folder: Path, text: str, environ: Mapping[str, str] | None = None
) -> tuple[PluginEntry, ...]:
    """The plugins of a sound file that begins with this text."""
    return config.load(folder, text + config.ONE_HOST, environ).settings.plugins


def problems(folder: Path, text: str) -> list[str]:
    return [
        problem.replace(str(folder), "")
        for problem in config.problems(folder, text + config.ONE_HOST)
    ]


def given(folder: Path, lines: str, environ: Mapping[str, str] | None = None) -> Any:
    """The settings that the plugin SETTINGS makes of these lines."""
    write(folder, SETTINGS)
    (entry,) = entries(folder, under(lines), environ)
    return entry.settings


def wrong(folder: Path, lines: str) -> list[str]:
    """What is said of these settings, without the place of the plugin."""
    write(folder, SETTINGS)
    return [
        problem.replace("plugins[0].'./mine.py'", "P") for problem in problems(folder, under(lines))
    ]


def under(lines: str) -> str:
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    return f"plugins:\n- ./mine.py:\n{indented}"


class TestForms:
    @pytest.mark.parametrize("text", ["", "plugins:\n", "plugins: []\n", "plugins: ''\n"])
    def test_none(self, tmp_path: Path, text: str) -> None:
        assert entries(tmp_path, text) == ()

    @pytest.mark.parametrize(
        "item", ["./mine.py", "'./mine.py'", "./mine.py:", "{./mine.py: }", "./mine.py: {}"]
    )
    def test_without_settings(self, tmp_path: Path, item: str) -> None:
        write(tmp_path, FILTER)
        (entry,) = entries(tmp_path, f"plugins:\n- {item}\n")
        assert (entry.code.name, entry.required, entry.hook_timeout) == ("./mine.py", False, 0.05)

    def test_order_as_listed_and_the_same_twice(self, tmp_path: Path) -> None:
        for name in ("a.py", "b.py"):
            write(tmp_path, FILTER, name)
        found = entries(tmp_path, "plugins: [./b.py, ./a.py, ./b.py]\n")
        assert [entry.code.name for entry in found] == ["./b.py", "./a.py", "./b.py"]
        assert found[0] == found[2]

    @pytest.mark.parametrize(
        "dirs", ["plugin_dirs: {0}\n", "plugin_dirs: [none, {0}]\n", "plugin_dirs:\n- {0}\n"]
    )
    @pytest.mark.parametrize("first", [True, False])
    def test_names_in_plugin_dirs_wherever_these_stand(
        self, tmp_path: Path, dirs: str, first: bool
    ) -> None:
        (tmp_path / "sub").mkdir()
        file = write(tmp_path / "sub", FILTER)
        parts = [dirs.format("sub"), "plugins: [mine]\n"]
        (entry,) = entries(tmp_path, "".join(parts if first else reversed(parts)))
        assert entry.code.origin == str(file)

    def test_paths_count_from_the_file_that_names_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for folder in ("etc/lib", "etc/own", "else"):
            (tmp_path / folder).mkdir(parents=True)
        beside = write(tmp_path / "etc/own", SETTINGS)
        listed = write(tmp_path / "etc/lib", FILTER, "named.py")
        text = "plugin_dirs: lib\nplugins:\n- own/mine.py: {number: 1, file: key}\n- named\n"
        path = config.write(tmp_path / "etc", text + config.ONE_HOST)
        monkeypatch.chdir(tmp_path / "else")
        for base, file in ((None, path), (tmp_path, Path("etc/amiws.yaml"))):
            settings = load_settings(file, base=base).settings
            one, two = settings.plugins
            assert (one.code.origin, two.code.origin) == (str(beside), str(listed))
            assert settings.plugin_dirs == (tmp_path / "etc/lib",)
            assert one.settings.file == tmp_path / "etc/key"  # type: ignore[attr-defined]

    def test_a_name_with_a_variable(self, tmp_path: Path) -> None:
        write(tmp_path, FILTER)
        (entry,) = entries(tmp_path, "plugins: ['${HERE}/mine.py']\n", {"HERE": str(tmp_path)})
        assert entry.code.origin == str(tmp_path / "mine.py")

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("plugins: mine\n", "1: plugins: must be a list of plugins"),
            ("plugins: {mine: {a: 1}}\n", "1: plugins: must be a list of plugins"),
            ("plugins:\n- \n", "2: plugins[0]: must be a name"),
            ("plugins:\n- []\n", "2: plugins[0]: must be a name"),
            ('plugins:\n- "a\\rb"\n', "2: plugins[0]: must be a name"),
            ('plugins:\n- "a\\rb": {}\n', "2: plugins[0]: must be a name"),
            ('plugins:\n- "": {}\n', "2: plugins[0]: must be a name"),
            ("plugins:\n- {}\n", "2: plugins[0]: must be a name"),
            ("plugins:\n- a: 1\n  b: 2\n", "2: plugins[0]: must be a name"),
            ("plugins:\n- !x a\n", "2: plugins[0]: has a YAML tag"),
            (
                "plugins:\n- ./mine.py: [a]\n",
                "2: plugins[0].'./mine.py': must have its settings as",
            ),
            (
                "plugins:\n- ./mine.py: yes\n",
                "2: plugins[0].'./mine.py': must have its settings as",
            ),
        ],
    )
    def test_what_is_no_list_of_plugins(self, tmp_path: Path, text: str, told: str) -> None:
        write(tmp_path, FILTER)
        assert problems(tmp_path, text)[0].startswith(told)

    def test_settings_on_the_line_of_the_name_forgotten_indent(self, tmp_path: Path) -> None:
        """The commonest slip: YAML takes the settings for a second key."""
        write(tmp_path, FILTER)
        (told,) = problems(tmp_path, "plugins:\n- ./mine.py:\n  deny: [VarSet]\n")
        assert '("- NAME:", then "    KEY: value")' in told


class TestRefused:
    def test_a_plugin_with_name_file_and_line(self, tmp_path: Path) -> None:
        write(tmp_path, "X = 1\ndef amiws_filter_mesage(message):\n    pass\n")
        (told,) = problems(tmp_path, "plugins:\n- ./mine.py\n")
        assert told == (
            "2: plugins[0]: plugin ./mine.py: /mine.py:2: there is no hook amiws_filter_mesage; "
            "did you mean amiws_filter_message?"
        )

    def test_all_plugins_at_once_and_the_rest_of_the_file(self, tmp_path: Path) -> None:
        write(tmp_path, "1 / 0\n", "a.py")
        write(tmp_path, SETTINGS, "b.py")
        text = "ws_port: x\nplugins:\n- ./a.py\n- none\n- ./b.py:\n    number: x\n"
        told = problems(tmp_path, text)
        assert [line.partition(": ")[0] for line in told] == ["1", "3", "4", "6"]


class TestOwnKeys:
    def test_required_as_the_plugin_has_it_or_as_the_file_says(self, tmp_path: Path) -> None:
        write(tmp_path, "REQUIRED = True\n" + FILTER)
        write(tmp_path, FILTER, "b.py")
        text = "plugins:\n- ./mine.py\n- ./mine.py: {required: no}\n- ./b.py: {required: yes}\n"
        assert [entry.required for entry in entries(tmp_path, text)] == [True, False, True]

    @pytest.mark.parametrize(
        ("written", "seconds"), [("0.2", 0.2), ("200 ms", 0.2), ("1 ms", 0.001), ("10", 10.0)]
    )
    def test_hook_timeout(self, tmp_path: Path, written: str, seconds: float) -> None:
        write(tmp_path, FILTER)
        (entry,) = entries(tmp_path, f"plugins:\n- ./mine.py: {{hook_timeout: {written}}}\n")
        assert entry.hook_timeout == seconds

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("required: maybe", "required: must be yes or no"),
            ("required: [yes]", "required: must be yes or no"),
            ("hook_timeout: soon", "hook_timeout: must be a time"),
            ("hook_timeout: 0", "hook_timeout: must be a time"),
            ("hook_timeout: 0.1 ms", "hook_timeout: must be from 1 ms to 10 s"),
            ("hook_timeout: 1 min", "hook_timeout: must be from 1 ms to 10 s"),
            ("hook_timeout: {}", "hook_timeout: must be a time"),
        ],
    )
    def test_wrong_ones(self, tmp_path: Path, line: str, told: str) -> None:
        (said,) = wrong(tmp_path, f"number: 1\n{line}\n")
        assert said.startswith(f"4: P.{told}")

    def test_a_variable_s_value_is_not_shown(self, tmp_path: Path) -> None:
        write(tmp_path, FILTER)
        text = under("required: ${SECRET}") + config.ONE_HOST
        (told,) = config.problems(tmp_path, text, {"SECRET": "s3cret"})
        assert "${SECRET}" in told
        assert "s3cret" not in told


class TestSettings:
    def test_text_is_made_what_the_model_wants(self, tmp_path: Path) -> None:
        made = given(
            tmp_path,
            "number: 5\nnames: [a, 1, yes]\ninner:\n  deep: 3\nmapping: {a: 1, b: 0x10}\n"
            "either: [1, 2]\nthe-word: x",
        )
        assert (made.number, made.names, made.inner.deep) == (5, ["a", "1", "yes"], 3)
        assert made.mapping == {"a": "1", "b": "0x10"}
        assert (made.either, made.word) == ([1, 2], "x")

    def test_a_path_counts_from_the_folder_of_the_file(self, tmp_path: Path) -> None:
        assert given(tmp_path, "number: 5\nfile: sub/file").file == tmp_path / "sub/file"
        assert given(tmp_path, "number: 5\nfile: /etc/file").file == Path("/etc/file")

    def test_another_name_of_a_key(self, tmp_path: Path) -> None:
        assert given(tmp_path, "number: 5\nolder: 7").newer == 7

    def test_a_variable_s_value_is_in_no_message_of_our_types(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            "from amiws_gevent.plugins.api import PluginSettings, Seconds\n"
            "class Settings(PluginSettings):\n    time: Seconds = 1.0\n"
            "def amiws_settings():\n    return Settings\n",
        )
        text = under("time: ${SECRET}") + config.ONE_HOST
        (told,) = config.problems(tmp_path, text, {"SECRET": "s3cret"})
        assert "must be a time" in told
        assert "${SECRET}" in told
        assert "s3cret" not in told

    def test_a_key_without_a_value_is_as_no_key(self, tmp_path: Path) -> None:
        made = given(tmp_path, "number: 5\nnames:\nrequired:\nhook_timeout:")
        assert made.names == []

    def test_variables_and_merges_as_everywhere(self, tmp_path: Path) -> None:
        write(tmp_path, SETTINGS)
        text = (
            "x-common: &common {names: ['${NAME}'], number: 1}\n"
            "plugins:\n- ./mine.py:\n    <<: *common\n    number: 2\n    secret: ${KEY}\n"
        )
        (entry,) = entries(tmp_path, text, {"NAME": "n", "KEY": "s3cret"})
        made: Any = entry.settings
        assert (made.names, made.number, made.secret.get_secret_value()) == (["n"], 2, "s3cret")
        assert "s3cret" not in repr(entry)

    @pytest.mark.parametrize(
        ("lines", "told"),
        [
            ("names: [a]", "2: P.number: is missing"),
            ("number: five", "3: P.number: must be a whole number"),
            ("number: 13", "3: P.number: must not be 13; take 12"),
            ("number: 1\nnumbr: 2", "4: P.numbr: NO; did you mean number?"),
            ("number: 1\nrequire: 2", "4: P.require: NO; did you mean required?"),
            ("number: 1\nzzzz: 2", "4: P.zzzz: is not a setting of the plugin ./mine.py"),
            ("number: 1\ninner:\n  deep: x", "5: P.inner.deep: must be a whole number"),
            ("number: 1\ninner:\n  depp: 1", "5: P.inner.depp: NO; did you mean deep?"),
            ("number: 1\ninners:\n- depp: 1", "5: P.inners[0].depp: NO; did you mean deep?"),
            ("number: 1\nnamed: {a: {depp: 1}}", "4: P.named.a.depp: NO; did you mean deep?"),
            ("number: 1\ninner: {require: 1}", "4: P.inner.require: NO"),
            ("number: 1\nword: x", "4: P.word: NO; did you mean the-word?"),
            ("number: 1\nflag: maybe", "4: P.flag: must be yes or no"),
            ("number: 1\nfactor: x", "4: P.factor: must be a number"),
            ("number: 1\nnames: x", "4: P.names: must be a list, each item beginning with"),
            ("number: 1\ninner: x", "4: P.inner: must be a mapping, lines of `key: value`"),
            ("number: 1\nmapping: x", "4: P.mapping: must be a mapping, lines of `key: value`"),
            ("number: 1\nfactor: 0", "4: P.factor: must be greater than or equal to 1"),
            ("number: 1\nchoice: c", "4: P.choice: must be 'a' or 'b'"),
            ("number: 1\nshort: abc", "4: P.short: must have at most 2 characters"),
            ("number: 1\nnewer: 1\nolder: 2", "5: P.older: is another name for newer, which"),
            ("number: 1\noldr: 2", "4: P.oldr: NO"),
            ("number: 1\nnewr: 2", "4: P.newr: NO; did you mean newer?"),
            ("number: 1\nfactor: 2\nflag: yes", "4: P.factor: must be 1 with a flag"),
            ("number: 1\nflag: yes", "2: P.factor: must be 1 with a flag"),
            ("number: 1\nnames:\n- a\n- [b]", "6: P.names[1]: must be text, not a list"),
            ("number: 1\nsecret: ${UNSET}", "4: P.secret: the environment variable UNSET"),
            ("number: !x 1", "3: P.number: has a YAML tag"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_told_with_key_and_line(
        self, tmp_path: Path, lines: str, told: str
    ) -> None:
        told = told.replace("NO", "is not a setting of the plugin ./mine.py")
        said = wrong(tmp_path, lines)
        assert any(line.startswith(told) for line in said), said

    def test_the_place_is_of_the_file_not_of_pydantic_s_tries(self, tmp_path: Path) -> None:
        said = wrong(tmp_path, "number: 1\neither:\n- 1\n- x")
        assert {line.partition(": ")[2].partition(": ")[0] for line in said} == {
            "P.either",
            "P.either[1]",
        }

    def test_a_validator_that_raises_something_else(self, tmp_path: Path) -> None:
        (told,) = wrong(tmp_path, "number: 14")
        assert told.startswith("2: P: plugin ./mine.py: /mine.py:")
        assert told.endswith("RuntimeError: a fault of the plugin")

    def test_a_plugin_without_settings_takes_none(self, tmp_path: Path) -> None:
        write(tmp_path, FILTER)
        (told,) = problems(tmp_path, under("deny: x"))
        assert told.endswith("deny: is not a setting of the plugin ./mine.py")

    def test_a_model_that_would_pass_over_unknown_keys(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            "from pydantic import BaseModel\n"
            "class Settings(BaseModel):\n    names: list[str] = []\n"
            "def amiws_settings():\n    return Settings\n",
        )
        (told,) = problems(tmp_path, under("name: [a]"))
        assert told.endswith("name: is not a setting of the plugin ./mine.py; did you mean names?")
        (entry,) = entries(tmp_path, under("names: [a]"))
        assert entry.settings.names == ["a"]  # type: ignore[attr-defined]

    @pytest.mark.parametrize("extra", ["allow", "ignore"])
    def test_a_model_that_takes_any_key_on_purpose(self, tmp_path: Path, extra: str) -> None:
        write(
            tmp_path,
            "from pydantic import BaseModel\n"
            f"class Settings(BaseModel, extra={extra!r}):\n    pass\n"
            "def amiws_settings():\n    return Settings\n",
        )
        assert len(entries(tmp_path, under("name: [a]"))) == 1

    def test_secrets_are_in_no_message(self, tmp_path: Path) -> None:
        said = wrong(tmp_path, "number: s3cret\nsecret: [s3cret]\nmapping: s3cret\nnames: s3cret")
        assert len(said) == 4
        assert not any("s3cret" in line for line in said)

    @pytest.mark.parametrize("fault", ["ValueError", "RuntimeError"])
    def test_a_validator_that_shows_a_secret_is_not_repeated(
        self, tmp_path: Path, fault: str
    ) -> None:
        source = SETTINGS.replace("secret: SecretStr", "token: str = ''\n    secret: SecretStr")
        source = source.replace(
            "    @model_validator",
            '    @field_validator("token")\n    @classmethod\n    def _token(cls, token):\n'
            f'        raise {fault}(f"not {{token[:20]!r}}")\n\n    @model_validator',
        )
        write(tmp_path, source)
        (said,) = problems(tmp_path, under("number: 1\ntoken: hunter2-and-more-of-it"))
        assert "hunter2" not in said
        assert "is wrong; the plugin's message shows a secret" in said

    def test_an_entry_without_a_blank_behind_its_colon(self, tmp_path: Path) -> None:
        for entry in ("webhook:hunter2", "{webhook:hunter2}"):
            (said,) = problems(tmp_path, f"plugins:\n- {entry}\n")
            assert (
                said
                == '2: plugins[0]: needs a space after the colon of webhook: write "webhook: …"'
            )


class TestMeasure:
    @pytest.mark.parametrize(
        ("lines", "told"),
        [
            ("number: 1\nanything: &a [*a]", "contains itself"),
            ("number: 1\nanything: &a [*a, *a, *a]", "contains itself"),
            ("number: 1\nanything: &a {b: {c: *a}}", "contains itself"),
            ("number: 1\nanything: " + "[" * 30 + "]" * 30, "nested more than 20 deep"),
            ("number: 1\nanything: " + "{a: " * 30 + "1" + "}" * 30, "nested more than 20 deep"),
        ],
    )
    def test_depth(self, tmp_path: Path, lines: str, told: str) -> None:
        (said,) = wrong(tmp_path, lines)
        assert said.startswith("4: P.anything: ")
        assert told in said

    @pytest.mark.slow
    def test_a_few_lines_that_are_a_billion_values(self, tmp_path: Path) -> None:
        lines = ["number: 1", "anything:", "- &a0 [x, x, x, x, x, x, x, x, x, x]"]
        for n in range(9):
            lines.append(f"- &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]")
        (said,) = wrong(tmp_path, "\n".join(lines))  # to look at all of them takes hours
        assert "more than 100,000 values" in said

    def test_a_list_that_is_named_twice_is_fine(self, tmp_path: Path) -> None:
        made = given(tmp_path, "number: 1\nnames: &n [a]\nanything: [*n, *n]")
        assert made.anything == [["a"], ["a"]]

    def test_a_long_list_is_fine(self, tmp_path: Path) -> None:
        made = given(tmp_path, f"number: 1\nnames: [{', '.join(['a'] * 20_000)}]")
        assert len(made.names) == 20_000


class TestEquality:
    """What a reload goes by."""

    def pair(self, folder: Path, one: str, two: str) -> tuple[PluginEntry, PluginEntry]:
        write(folder, SETTINGS)
        (first,) = entries(folder, under(one))
        (second,) = entries(folder, under(two))
        return first, second

    def test_the_same_again(self, tmp_path: Path) -> None:
        one, two = self.pair(tmp_path, "number: 1\nnames: [a]", "number: 1\nnames:\n- a\n")
        assert one == two

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            ("number: 1", "number: 2"),
            ("number: 1", "number: 1\nnames: []"),
            ("number: 1\nnames: [a, b]", "number: 1\nnames: [b, a]"),
            ("number: 1\nmapping: {a: 1, b: 2}", "number: 1\nmapping: {b: 2, a: 1}"),
            ("number: 1", "number: 1\nrequired: yes"),
            ("number: 1", "number: 1\nhook_timeout: 1"),
        ],
    )
    def test_what_counts_as_changed(self, tmp_path: Path, one: str, two: str) -> None:
        first, second = self.pair(tmp_path, one, two)
        assert first != second

    def test_a_default_that_is_written_out_for_our_keys_changes_nothing(
        self, tmp_path: Path
    ) -> None:
        first, second = self.pair(tmp_path, "number: 1", "number: 1\nrequired: no")
        assert first == second

    def test_a_changed_variable_counts(self, tmp_path: Path) -> None:
        write(tmp_path, SETTINGS)
        made = [
            entries(tmp_path, under("number: 1\nsecret: ${KEY}"), {"KEY": key}) for key in "aab"
        ]
        assert made[0] == made[1] != made[2]
