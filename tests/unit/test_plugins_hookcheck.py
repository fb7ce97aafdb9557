"""What is taken for a hook, what is refused and where, and how hooks are bound."""

from __future__ import annotations

import textwrap
from types import ModuleType
from typing import Any

import pytest

from amiws_gevent.plugins.hookcheck import HookMistake, closest, find_hooks, place_of


def plugin_of(source: str) -> Any:
    """The module of that text, or an instance of its class Plugin; its file is ``mine.py``."""
    module = ModuleType("mine")
    text = textwrap.dedent(source).lstrip("\n")
    exec(compile(text, "mine.py", "exec", dont_inherit=True), module.__dict__)
    return module.Plugin() if hasattr(module, "Plugin") else module


def mistake(source: str) -> str:
    with pytest.raises(HookMistake) as caught:
        find_hooks(plugin_of(source))
    return f"{caught.value.place}: {caught.value}"


class TestFound:
    def test_functions_of_a_module(self) -> None:
        hooks = find_hooks(
            plugin_of(
                """
                import amiws_gevent.ami
                amiws_version = "1"

                def helper():
                    pass

                def amiws_log_message(message, server, json):
                    return message, server, json

                def amiws_filter_message(message, server):
                    return message, server
                """
            )
        )
        assert list(hooks) == ["amiws_filter_message", "amiws_log_message"]
        assert hooks["amiws_log_message"]("m", "s", b"{}") == ("m", "s", b"{}")

    def test_methods_static_and_class_methods(self) -> None:
        hooks = find_hooks(
            plugin_of(
                """
                class Base:
                    def amiws_shutdown(self):
                        return self

                class Plugin(Base):
                    name = "x"

                    def amiws_filter_message(self, message, server):
                        return self.name, message, server

                    @staticmethod
                    def amiws_transform_message(message, server):
                        return message, server

                    @classmethod
                    def amiws_reload(cls):
                        return cls.name
                """
            )
        )
        assert hooks["amiws_filter_message"]("m", "s") == ("x", "m", "s")
        assert hooks["amiws_transform_message"]("m", "s") == ("m", "s")
        assert hooks["amiws_reload"]() == "x"
        assert hooks["amiws_shutdown"]().name == "x"

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ("message, server, json", ("m", "s", "j")),
            ("message", "m"),
            ("message, server", ("m", "s")),
            ("server, message", ("s", "m")),
            ("json", "j"),
            ("message, limit=5", ("m", 5)),
            ("message, json=None, server=None", ("m", "j", "s")),
            ("limit=5, message=None", (5, "m")),
            ("message, *, server", ("m", "s")),
            ("*, json, message", ("j", "m")),
            ("message, server, /", ("m", "s")),
        ],
    )
    def test_parameters_may_be_left_out_moved_and_have_defaults(
        self, parameters: str, expected: object
    ) -> None:
        names = ", ".join(
            word.partition("=")[0] for word in parameters.split(", ") if word not in "*/"
        )
        hooks = find_hooks(plugin_of(f"def amiws_log_message({parameters}):\n    return {names}\n"))
        assert hooks["amiws_log_message"]("m", "s", "j") == expected

    def test_no_parameters(self) -> None:
        hooks = find_hooks(plugin_of("def amiws_filter_message():\n    return False\n"))
        assert hooks["amiws_filter_message"]("m", "s") is False

    def test_a_function_that_takes_all_is_called_as_it_is(self) -> None:
        plugin = plugin_of("def amiws_filter_message(message, server):\n    pass\n")
        assert find_hooks(plugin)["amiws_filter_message"] is plugin.amiws_filter_message

    def test_a_decorated_function_keeps_its_parameters_and_place(self) -> None:
        plugin = plugin_of(
            """
            import functools

            def twice(function):
                @functools.wraps(function)
                def wrapped(*arguments, **more):
                    return function(*arguments, **more), function(*arguments, **more)
                return wrapped

            @twice
            def amiws_filter_message(message):
                return message
            """
        )
        assert find_hooks(plugin)["amiws_filter_message"]("m", "s") == ("m", "m")
        assert place_of(plugin.amiws_filter_message) == "mine.py:9"

    def test_callables_that_are_no_functions(self) -> None:
        hooks = find_hooks(
            plugin_of(
                """
                import functools

                class Caller:
                    def __call__(self, message):
                        return message

                def both(answer, message, server):
                    return answer, message, server

                amiws_transform_message = Caller()
                amiws_filter_message = functools.partial(both, True)
                """
            )
        )
        assert hooks["amiws_transform_message"]("m", "s") == "m"
        assert hooks["amiws_filter_message"]("m", "s") == (True, "m", "s")

    def test_the_marker_of_pluggy_is_allowed(self) -> None:
        hooks = find_hooks(
            plugin_of(
                """
                import pluggy
                hookimpl = pluggy.HookimplMarker("amiws_gevent")

                class Plugin:
                    @hookimpl
                    def amiws_filter_message(self, message):
                        return message
                """
            )
        )
        assert hooks["amiws_filter_message"]("m", "s") == "m"

    def test_no_property_is_asked(self) -> None:
        plugin = plugin_of(
            """
            class Plugin:
                @property
                def connection(self):
                    raise RuntimeError("asked")

                def amiws_reload(self):
                    pass
            """
        )
        assert list(find_hooks(plugin)) == ["amiws_reload"]

    def test_no_proxy_is_asked(self) -> None:
        """Flask's raise without a request, whatever is asked of them."""
        plugin = plugin_of(
            """
            from flask import g, request
            from werkzeug.local import LocalProxy

            class Plugin:
                proxy = LocalProxy(lambda: 1 / 0)
                request = request

                def amiws_reload(self):
                    pass
            """
        )
        assert list(find_hooks(plugin)) == ["amiws_reload"]
        module = plugin_of("from flask import g, request\ndef amiws_reload():\n    pass\n")
        assert list(find_hooks(module)) == ["amiws_reload"]

    def test_what_an_object_would_make_up_is_no_hook(self) -> None:
        plugin = plugin_of(
            """
            class Plugin:
                def __getattr__(self, name):
                    return lambda: name

                def amiws_reload(self):
                    pass
            """
        )
        assert list(find_hooks(plugin)) == ["amiws_reload"]


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("amiws_filter_mesage", "amiws_filter_message"),
            ("amiws_on_message", None),
            ("amiws_start", "amiws_startup"),
            ("amiws_Filter_Message", "amiws_filter_message"),
        ],
    )
    def test_a_hook_that_there_is_not(self, name: str, meant: str | None) -> None:
        told = mistake(f"\n\nX = 1\ndef {name}(message):\n    pass\n")
        assert told.startswith(f"mine.py:2: there is no hook {name}")
        if meant:
            assert told.endswith(f"did you mean {meant}?")

    @pytest.mark.parametrize(
        "name", ["amis_filter_message", "aimws_log_message", "amiwsfilter_message"]
    )
    def test_a_slip_in_the_prefix(self, name: str) -> None:
        told = mistake(f"def {name}(message):\n    pass\n")
        assert told.startswith(f"mine.py:1: {name} is not a hook; did you mean amiws_")

    def test_a_slip_beside_a_right_hook(self) -> None:
        told = mistake(
            """
            class Plugin:
                def amiws_shutdown(self):
                    pass

                @staticmethod
                def amws_startup(context):
                    pass
            """
        )
        assert told.startswith("mine.py:5: amws_startup is not a hook")

    def test_no_hook_at_all(self) -> None:
        assert "has no hook" in mistake("def filter_message(message):\n    return False\n")

    @pytest.mark.parametrize("value", ["None", "5", "[len]"])
    def test_a_hook_s_name_that_is_no_function(self, value: str) -> None:
        assert mistake(f"amiws_reload = {value}\n") == ": amiws_reload is not a function"

    @pytest.mark.parametrize(
        ("parameters", "wrong"),
        [("msg", "msg"), ("message, client", "client"), ("self, message", "self")],
    )
    def test_a_parameter_that_there_is_not(self, parameters: str, wrong: str) -> None:
        told = mistake(f"def amiws_filter_message({parameters}):\n    pass\n")
        assert told == (
            f"mine.py:1: amiws_filter_message has no parameter {wrong} (there are: message, server)"
        )

    def test_a_parameter_where_there_is_none(self) -> None:
        told = mistake("def amiws_shutdown(context):\n    pass\n")
        assert told.endswith("has no parameter context (there are: none)")

    @pytest.mark.parametrize("parameters", ["", "message", "message, server"])
    def test_a_method_without_self(self, parameters: str) -> None:
        told = mistake(
            f"class Plugin:\n    def amiws_filter_message({parameters}):\n        pass\n"
        )
        assert told == "mine.py:2: amiws_filter_message needs self as its first parameter"

    @pytest.mark.parametrize("parameters", ["*arguments", "message, **more", "*a, **k"])
    def test_parameters_without_names(self, parameters: str) -> None:
        told = mistake(f"def amiws_filter_message({parameters}):\n    pass\n")
        assert told.startswith("mine.py:1: amiws_filter_message must name its parameters")
        assert "functools.wraps" in told

    @pytest.mark.parametrize(
        ("head", "body", "told"),
        [
            ("async def", "return True", "not async"),
            ("async def", "yield True", "not async"),
            ("def", "yield True", "not yield"),
        ],
    )
    def test_answers_that_would_never_come(self, head: str, body: str, told: str) -> None:
        said = mistake(f"{head} amiws_filter_message(message):\n    {body}\n")
        assert said.startswith("mine.py:1: amiws_filter_message must")
        assert told in said

    def test_an_async_function_inside_a_decorator(self) -> None:
        told = mistake(
            """
            import functools

            def plain(function):
                @functools.wraps(function)
                def wrapped(*arguments):
                    return function(*arguments)
                return wrapped

            @plain
            async def amiws_reload():
                pass
            """
        )
        assert told.startswith("mine.py:9: ")
        assert "not async" in told

    @pytest.mark.parametrize("option", ["tryfirst", "trylast", "optionalhook", "wrapper"])
    def test_options_of_pluggy_that_mean_nothing_here(self, option: str) -> None:
        told = mistake(
            f"""
            import pluggy
            hookimpl = pluggy.HookimplMarker("amiws_gevent")

            @hookimpl({option}=True)
            def amiws_filter_message(message):
                yield
            """
        )
        assert told.startswith("mine.py:4: amiws_filter_message: ")
        assert option in told
        assert "order of the configuration" in told

    def test_a_mark_on_what_has_no_hook_s_name(self) -> None:
        told = mistake(
            """
            import pluggy
            hookimpl = pluggy.HookimplMarker("amiws_gevent")

            @hookimpl(specname="amiws_filter_message")
            def mine(message):
                pass

            def amiws_reload():
                pass
            """
        )
        assert told == "mine.py:4: mine is not a hook"


def test_place_of_what_has_no_code() -> None:
    assert place_of(len) == ""


def test_closest() -> None:
    assert closest("blu", ["blue", "red"]) == "blue"
    assert closest("xyz", ["blue", "red"]) is None
    assert closest("blu", ["blue"], 0.99) is None
