"""Where plugins are found, how their files are imported, and how mistakes are told."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import ModuleType

import gevent
import pytest
from pydantic import BaseModel

from amiws_gevent.plugins import loading
from amiws_gevent.plugins.api import PluginSettings
from amiws_gevent.plugins.loading import LONGEST_TEXT, PluginError, describe, load_plugin
from tests.support.patience import WAIT
from tests.support.plugins import load, write

FILTER = "def amiws_filter_message(message):\n    return False\n"


def mistake(folder: Path, source: str) -> str:
    """What is said of a plugin, its folder left out."""
    with pytest.raises(PluginError) as caught:
        load(folder, source)
    assert caught.value.exit_status == 78
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "")


class TestFound:
    def test_by_a_path_from_the_base(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        file = write(tmp_path / "sub", FILTER)
        for name in ("sub/mine.py", "./sub/mine.py", str(file)):
            code = load_plugin(name, [], tmp_path)
            assert (code.name, code.origin) == (name, str(file))
            assert list(code.hooks) == ["amiws_filter_message"]

    def test_from_the_current_directory_by_default(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path, FILTER)
        monkeypatch.chdir(tmp_path)
        assert load_plugin("mine.py", []).origin == str(tmp_path / "mine.py")

    def test_by_a_name_or_a_path_in_the_folders_in_order(self, tmp_path: Path) -> None:
        folders = [tmp_path / name for name in ("absent", "one", "two")]
        for folder in folders[1:]:
            folder.mkdir()
            write(folder, FILTER)
        write(folders[2], FILTER, "other.py")
        assert load_plugin("mine", folders, tmp_path).origin == str(folders[1] / "mine.py")
        assert load_plugin("mine.py", folders, tmp_path).origin == str(folders[1] / "mine.py")
        assert load_plugin("other", folders, tmp_path).origin == str(folders[2] / "other.py")

    def test_a_bare_name_is_not_looked_for_in_the_base(self, tmp_path: Path) -> None:
        write(tmp_path, FILTER)
        with pytest.raises(PluginError, match="not in plugin_dirs and not installed"):
            load_plugin("mine", [], tmp_path)

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("mien", "did you mean mine?"),
            ("zzzz", "there are: event_filter, journal, mask, mine, syslog_events, webhook"),
        ],
    )
    def test_a_name_that_is_not_there(self, tmp_path: Path, name: str, told: str) -> None:
        write(tmp_path, FILTER)
        with pytest.raises(PluginError, match=told):
            load_plugin(name, [tmp_path], tmp_path)

    @pytest.mark.parametrize("name", ["./none.py", "a\0b.py", "x" * 5000 + ".py", "../../etc.py"])
    def test_a_path_that_is_not_there(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(PluginError, match="no such file") as caught:
            load_plugin(name, [tmp_path / "dirs"], tmp_path)
        assert str(tmp_path) in str(caught.value)
        assert str(tmp_path / "dirs") in str(caught.value)

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").mkdir()
        with pytest.raises(PluginError, match="no such file"):
            load_plugin("./mine.py", [], tmp_path)


class TestInstalled:
    @pytest.fixture
    def site(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        site = tmp_path / "site"
        (site / "other-1.0.dist-info").mkdir(parents=True)
        (site / "other-1.0.dist-info" / "METADATA").write_text("Name: other\nVersion: 1.0\n")
        (site / "other-1.0.dist-info" / "entry_points.txt").write_text(
            "[amiws_gevent]\n"
            "ours = plugin_of_others\n"
            "part = plugin_of_others:Plugin\n"
            "broken = plugin_that_breaks\n"
            "gone = no_such_package.module\n"
        )
        (site / "plugin_of_others.py").write_text(
            "class Plugin:\n    def amiws_filter_message(self):\n        return False\n"
        )
        (site / "plugin_that_breaks.py").write_text("X = 1\nX / 0\n")
        monkeypatch.syspath_prepend(site)
        for name in ("plugin_of_others", "plugin_that_breaks"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        return site

    @pytest.mark.parametrize("name", ["ours", "part"])
    def test_a_module_or_its_class(self, site: Path, name: str) -> None:
        code = load_plugin(name, [], site)
        assert code.origin == str(site / "plugin_of_others.py")
        assert code.hooks["amiws_filter_message"](None, None) is False
        assert load_plugin(name, [], site) == code
        assert load_plugin(name, [], site).plugin is not code.plugin

    def test_a_file_in_plugin_dirs_comes_first(self, site: Path, tmp_path: Path) -> None:
        file = write(tmp_path, FILTER, "ours.py")
        assert load_plugin("ours", [tmp_path]).origin == str(file)

    def test_a_module_that_raises(self, site: Path) -> None:
        with pytest.raises(PluginError) as caught:
            load_plugin("broken", [], site)
        where = f"{site / 'plugin_that_breaks.py'}:2"
        assert str(caught.value) == f"plugin broken: {where}: ZeroDivisionError: division by zero"

    def test_a_module_that_is_gone(self, site: Path) -> None:
        with pytest.raises(PluginError, match=r"plugin gone: no_such_package\.module: ModuleNot"):
            load_plugin("gone", [], site)

    def test_those_that_are_shipped(self) -> None:
        code = load_plugin("event_filter", [])
        assert code.origin.endswith("plugins/event_filter.py")


class TestImport:
    def test_each_load_is_another_module(self, tmp_path: Path) -> None:
        source = "SEEN = []\ndef amiws_reload():\n    return SEEN\n"
        one, two = load(tmp_path, source), load(tmp_path, source)
        one.hooks["amiws_reload"]().append(1)
        assert two.hooks["amiws_reload"]() == []
        assert one == two

    def test_equal_by_file_and_content(self, tmp_path: Path) -> None:
        source = (
            "from pydantic import BaseModel\nclass Settings(BaseModel):\n    pass\n"
            "def amiws_settings():\n    return Settings\n" + FILTER
        )
        first = load(tmp_path, source)
        assert load(tmp_path, source, "other.py") != first
        assert load(tmp_path, source + "# new\n") != first
        assert load(tmp_path, source) == first
        assert len({first, load(tmp_path, source)}) == 1

    def test_a_change_within_a_second_and_of_the_same_length_is_seen(self, tmp_path: Path) -> None:
        load(tmp_path, "def amiws_reload():\n    return 1\n")
        code = load(tmp_path, "def amiws_reload():\n    return 2\n")
        assert code.hooks["amiws_reload"]() == 2
        assert not (tmp_path / "__pycache__").exists()

    def test_our_own_future_imports_are_not_the_plugin_s(self, tmp_path: Path) -> None:
        plugin = load(tmp_path, "X: int = 1\n" + FILTER).plugin
        assert plugin.__annotations__ == {"X": int}

    @pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
    def test_models_and_dataclasses_find_the_names_of_their_file(
        self, tmp_path: Path, future: str
    ) -> None:
        code = load(
            tmp_path,
            future + "from dataclasses import dataclass, field\n"
            "from pathlib import Path\n"
            "from typing import ClassVar, Literal\n"
            "from amiws_gevent.plugins.api import PluginSettings\n"
            "class Inner(PluginSettings):\n"
            "    file: Path\n"
            "class Settings(PluginSettings):\n"
            "    inner: Inner | None = None\n"
            "    mode: Literal['a', 'b'] = 'a'\n"
            "@dataclass\n"
            "class Data:\n"
            "    known: ClassVar[int] = 1\n"
            "    seen: list[str] = field(default_factory=list)\n"
            "def amiws_settings():\n"
            "    return Settings\n",
        )
        made = code.settings_model.model_validate({"inner": {"file": "/x"}, "mode": "b"})
        assert made.inner.file == Path("/x")  # type: ignore[attr-defined]

    def test_two_files_of_the_same_name_do_not_meet(self, tmp_path: Path) -> None:
        for number in (1, 2):
            (tmp_path / str(number)).mkdir()
        source = (
            "import sys\nNUMBER = {}\n"
            "def amiws_reload():\n    return sys.modules[__name__].NUMBER\n"
        )
        one = load(tmp_path / "1", source.format(1))
        two = load(tmp_path / "2", source.format(2))
        assert (one.hooks["amiws_reload"](), two.hooks["amiws_reload"]()) == (1, 2)

    def test_nothing_is_left_of_an_import_that_failed(self, tmp_path: Path) -> None:
        good = load(tmp_path, FILTER)
        assert isinstance(good.plugin, ModuleType)
        name = good.plugin.__name__
        mistake(tmp_path, "1 / 0\n")
        assert sys.modules[name] is good.plugin
        before = set(sys.modules)
        with pytest.raises(PluginError):
            load(tmp_path, "1 / 0\n", "other.py")
        assert set(sys.modules) == before

    @pytest.mark.parametrize(
        ("source", "line"),
        [
            ("import gevent\ntry:\n    gevent.sleep(1e6)\nexcept Exception:\n    pass\n", 3),
            ("import gevent\ndef amiws_settings():\n    gevent.sleep(1e6)\n", 3),
        ],
    )
    def test_one_that_waits_in_a_reload_is_cut_off(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, line: int
    ) -> None:
        monkeypatch.setattr(loading, "IMPORT_TIME", 0.01)
        told = gevent.spawn(mistake, tmp_path, source).get(timeout=WAIT)
        assert told == f"plugin ./mine.py: /mine.py:{line}: ImportTimeout: still waits after 0.01 s"

    def test_the_logging_of_the_program_stays_as_it_is(self, tmp_path: Path) -> None:
        root = logging.getLogger()
        before = root.handlers[:], root.level
        load(
            tmp_path,
            "import logging\nlogging.basicConfig(level=logging.DEBUG, force=True)\n"
            "logging.getLogger().addHandler(logging.StreamHandler())\n" + FILTER,
        )
        assert (root.handlers, root.level) == before

    def test_an_encoding_of_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_bytes(
            b"# -*- coding: latin-1 -*-\ndef amiws_reload():\n    return '\xfc'\n"
        )
        assert load_plugin("./mine.py", [], tmp_path).hooks["amiws_reload"]() == "ü"


class TestMistakes:
    @pytest.mark.parametrize(
        ("source", "told"),
        [
            ("X = 1\ndef f(:\n", "/mine.py:2: SyntaxError: "),
            ("def f():\nreturn 1\n", "/mine.py:2: IndentationError: "),
            ("def f():\n  return 1\n\treturn 2\n", "/mine.py:3: TabError: "),
            ("X = 1\nX.y\n", "/mine.py:2: AttributeError: "),
            ("def f():\n    1 / 0\n\nf()\n", "/mine.py:2: ZeroDivisionError: division by zero"),
            ("import no_such_module\n", "/mine.py:1: ModuleNotFoundError: No module named"),
            ("import sys\nsys.exit('no')\n", "/mine.py:2: SystemExit: no"),
            ("raise Exception\n", "/mine.py:1: Exception"),
            ("raise ValueError('a\\nb')\n", "/mine.py:1: ValueError: a b"),
            ("import json\njson.loads('{')\n", "/mine.py:2: JSONDecodeError: "),
            ("class Plugin:\n    def __init__(self):\n        1 / 0\n", "/mine.py:3: ZeroDiv"),
            ("class Plugin:\n    def __init__(self, x):\n        pass\n", "/mine.py: TypeError: "),
            (
                "import sys\nclass Plugin:\n    def __init__(self):\n        sys.exit()\n",
                ":4: System",
            ),
            ("def amiws_filter_mesage(message):\n    pass\n", "/mine.py:1: there is no hook"),
            ("def f():\n    pass\n", "/mine.py: has no hook"),
            ("class Plugin:\n    pass\n", "/mine.py: has no hook"),
        ],
    )
    def test_name_file_and_line_are_told(self, tmp_path: Path, source: str, told: str) -> None:
        said = mistake(tmp_path, source)
        assert said.startswith("plugin ./mine.py: ")
        assert told in said

    def test_a_file_that_is_not_text(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_bytes(b"X = 1\nY = '\xff'\n")
        with pytest.raises(PluginError, match=r"mine\.py(:\d+)?: SyntaxError: .*(utf|UTF)-8"):
            load_plugin("./mine.py", [], tmp_path)

    def test_a_file_with_zeros(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_bytes(b"X = 1\0\n")
        with pytest.raises(PluginError, match=r"mine\.py.*null bytes"):
            load_plugin("./mine.py", [], tmp_path)

    def test_a_syntax_error_in_what_it_imports(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lib = tmp_path / "lib"
        lib.mkdir()
        (lib / "wrong_library.py").write_text("\ndef (\n")
        monkeypatch.syspath_prepend(lib)
        said = mistake(tmp_path, "X = 1\nimport wrong_library\n")
        assert said.startswith("plugin ./mine.py: /mine.py:2: SyntaxError: ")
        assert "wrong_library.py, line 2" in said

    @pytest.mark.parametrize(
        "line",
        ["import helper", "from helper import x", "import folder", "from . import helper",
         "from .helper import x", "import helper.part"],
    )  # fmt: skip
    def test_a_file_beside_cannot_be_imported_and_that_is_said(
        self, tmp_path: Path, line: str
    ) -> None:
        write(tmp_path, "x = 1\n", "helper.py")
        (tmp_path / "folder").mkdir()
        said = mistake(tmp_path, f"{line}\n{FILTER}")
        assert said.startswith("plugin ./mine.py: /mine.py:1: ")
        assert said.endswith("or use one file")
        told = "No module named 'no_such_module'"
        assert mistake(tmp_path, "import no_such_module\n") == (
            f"plugin ./mine.py: /mine.py:1: ModuleNotFoundError: {told}"
        )
        assert mistake(tmp_path, "1 / 0\n").endswith("ZeroDivisionError: division by zero")

    def test_hooks_beside_a_class(self, tmp_path: Path) -> None:
        said = mistake(
            tmp_path, "class Plugin:\n    def amiws_reload(self):\n        pass\n\n" + FILTER
        )
        assert said == (
            "plugin ./mine.py: /mine.py:5: amiws_filter_message is outside the class Plugin; "
            "make it a method"
        )

    def test_a_property_that_raises_in_the_place_of_a_hook(self, tmp_path: Path) -> None:
        said = mistake(
            tmp_path,
            "class Plugin:\n    @property\n    def amiws_reload(self):\n        1 / 0\n",
        )
        assert "/mine.py:4: ZeroDivisionError" in said


BOTH_SAY = """
REQUIRED = True
class Plugin:
    REQUIRED = False
    def amiws_reload(self):
        pass
"""


class TestRequired:
    @pytest.mark.parametrize(
        ("source", "required"),
        [
            (FILTER, False),
            ("REQUIRED = True\n" + FILTER, True),
            (
                "class Plugin:\n    REQUIRED = True\n    def amiws_reload(self):\n        pass\n",
                True,
            ),
            ("REQUIRED = True\nclass Plugin:\n    def amiws_reload(self):\n        pass\n", True),
            (
                BOTH_SAY,
                False,
            ),
        ],
    )
    def test_where_it_may_stand(self, tmp_path: Path, source: str, required: bool) -> None:
        assert load(tmp_path, source).required is required

    def test_what_it_may_be(self, tmp_path: Path) -> None:
        assert "REQUIRED must be True or False" in mistake(tmp_path, "REQUIRED = 'no'\n" + FILTER)


class TestSettings:
    def test_none_without_the_hook(self, tmp_path: Path) -> None:
        assert load(tmp_path, FILTER).settings_model is PluginSettings

    @pytest.mark.parametrize("base", ["PluginSettings", "BaseModel"])
    def test_what_the_hook_gives(self, tmp_path: Path, base: str) -> None:
        code = load(
            tmp_path,
            "from pydantic import BaseModel\nfrom amiws_gevent.plugins.api import PluginSettings\n"
            f"class Settings({base}):\n    names: list[str] = []\n"
            "def amiws_settings():\n    return Settings\n",
        )
        assert issubclass(code.settings_model, BaseModel)
        assert list(code.settings_model.model_fields) == ["names"]

    @pytest.mark.parametrize("answer", ["None", "dict", "Settings()", "[]"])
    def test_what_is_no_model(self, tmp_path: Path, answer: str) -> None:
        said = mistake(
            tmp_path,
            "from pydantic import BaseModel\nclass Settings(BaseModel):\n    pass\n"
            f"def amiws_settings():\n    return {answer}\n",
        )
        assert "/mine.py:4: amiws_settings must return a class derived from PluginSettings" in said

    def test_a_hook_that_raises(self, tmp_path: Path) -> None:
        said = mistake(tmp_path, "def amiws_settings():\n    raise ValueError('no')\n")
        assert said == "plugin ./mine.py: /mine.py:2: ValueError: no"

    @pytest.mark.parametrize("name", ["required", "hook_timeout"])
    def test_names_that_every_plugin_has(self, tmp_path: Path, name: str) -> None:
        said = mistake(
            tmp_path,
            "from amiws_gevent.plugins.api import PluginSettings\n"
            f"class Settings(PluginSettings):\n    {name}: int = 1\n"
            "def amiws_settings():\n    return Settings\n",
        )
        assert f"/mine.py:4: a setting cannot be named {name}" in said


class TestDescribe:
    def raised(self, folder: Path, source: str) -> tuple[BaseException, str]:
        file = write(folder, source)
        try:
            exec(compile(file.read_text(), str(file), "exec"), {})
        except Exception as error:  # noqa: BLE001 - what the test is about
            return error, str(file)
        raise AssertionError("nothing raised")

    def test_the_innermost_line_of_the_file_itself(self, tmp_path: Path) -> None:
        error, origin = self.raised(
            tmp_path, "import json\ndef f():\n    json.loads('')\ndef g():\n    f()\ng()\n"
        )
        assert describe(error, origin).startswith(f"{origin}:3: JSONDecodeError: Expecting value")
        assert describe(error, "/other.py").startswith("/other.py: JSONDecodeError: ")

    def test_one_line_of_bounded_length(self, tmp_path: Path) -> None:
        error, origin = self.raised(tmp_path, "raise ValueError('a\\n\\tb' + 'x' * 100000)\n")
        told = describe(error, origin)
        assert told.startswith(f"{origin}:1: ValueError: a bxxx")
        assert len(told) < LONGEST_TEXT + len(origin) + 20

    @pytest.mark.parametrize("body", ["return self.missing", "return 5", "raise RuntimeError"])
    def test_an_error_that_cannot_say_what_it_is(self, tmp_path: Path, body: str) -> None:
        error, origin = self.raised(
            tmp_path,
            f"class Odd(Exception):\n    def __str__(self):\n        {body}\nraise Odd\n",
        )
        assert describe(error, origin) == f"{origin}:4: Odd: (no text: its __str__ raises)"

    def test_an_error_without_text(self, tmp_path: Path) -> None:
        error, origin = self.raised(tmp_path, "assert False\n")
        assert describe(error, origin) == f"{origin}:1: AssertionError"
