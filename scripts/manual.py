"""Make what is installed beside the program: ``python scripts/manual.py FOLDER``.

amiws-gevent.8 and amiws-gevent.bash are made of what ``--help`` is made of, amiws.yaml.5 of the
models that docs/configuration.md has its tables from.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from amiws_gevent import __version__, options
from amiws_gevent.config import schema

PROGRAM = "amiws-gevent"

_MARKS = re.compile(r"`([^`]+)`|\[([^]]+)\]\(([^)#]*)[^)]*\)")

_INTRODUCTION = """\
The configuration of amiws-gevent(8), by default /etc/amiws.yaml: a YAML file with the keys of the C
program amiws, and more. Only `amihosts` must be there. `amiws-gevent --check` reports all mistakes,
each with its line.

Sizes are in bytes: `1048576`, `512k`, `4 MiB`. Times are in seconds: `30`, or `500 ms`, `5 min`,
`12 h`, `2 days`. `${NAME}` stands for a variable of the environment. Relative paths count from the
folder in which the program was started."""

_SECTIONS = {
    "top level": "Keys of the top level",
    "amihosts": "Keys of each server of amihosts",
    "api_tokens": "Keys of each token of api_tokens",
}

_EXAMPLE = """\
ws_port: 8000
auth_domain: asterisk
auth_file: /etc/amiws.htdigest
amihosts:
- name: pbx1.example.org
  host: 127.0.0.1
  username: amiws
  secret_file: /etc/amiws/pbx1.secret"""


def roff(text: str) -> str:
    """Plain text as a page of man(7) has it."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def marked(text: str) -> str:
    """Text with the marks of Markdown: code is bold, a link its text and the page it leads to."""
    parts: list[str] = []
    end = 0
    for mark in _MARKS.finditer(text):
        parts += [roff(text[end : mark.start()])]
        parts += [f"\\fB{roff(mark[1])}\\fR" if mark[1] else roff(_link(mark[2], mark[3]))]
        end = mark.end()
    return "".join([*parts, roff(text[end:])])


def _link(text: str, page: str) -> str:
    """A link of docs/configuration.md, where it cannot be followed."""
    text = text.replace("`", "")
    return text if text.startswith("docs/") else f"{text} in docs/{page or 'configuration.md'}"


def _shown(actions: Iterable[argparse.Action]) -> list[argparse.Action]:
    """The options that ``--help`` has; the others are of the program's own processes."""
    return [action for action in actions if action.help != argparse.SUPPRESS]


def program_page() -> str:
    """amiws-gevent(8)."""
    parser = options.parser()
    signals, _, status = options.SIGNALS.partition("Exit status:")
    lines = [
        *_head(PROGRAM, 8, "events of Asterisk servers for browsers, over WebSocket"),
        ".SH SYNOPSIS",
        f".B {roff(PROGRAM)}",
        "[\\fIoptions\\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(options.DESCRIPTION),
        ".SH OPTIONS",
    ]
    for group in parser._action_groups:
        if group.title and group._group_actions and group not in parser._action_groups[:2]:
            lines += [".SS", roff(group.title[:1].upper() + group.title[1:])]
        for action in _shown(group._group_actions):
            lines += [".TP", _option(action), roff(_help(parser, action))]
    lines += [".SH SIGNALS", *_paragraphs(signals)]
    lines += [".SH EXIT STATUS", *_paragraphs(status.strip()[:1].upper() + status.strip()[1:])]
    lines += [".SH FILES", ".TP", ".I /etc/amiws.yaml", "The configuration; see amiws.yaml(5)."]
    return "\n".join([*lines, *_see_also("amiws.yaml(5)")])


def configuration_page() -> str:
    """amiws.yaml(5)."""
    lines = [
        *_head("amiws.yaml", 5, "configuration of amiws-gevent"),
        ".SH DESCRIPTION",
        *_paragraphs(_INTRODUCTION),
    ]
    for name, model in schema.SECTIONS.items():
        lines += [f'.SH "{roff(_SECTIONS.get(name, f"Keys of {name}").upper())}"']
        for key, default, meaning in schema.keys(model):
            lines += [".TP", f".BR {roff(key)}", f"({marked(default)}) {marked(meaning)}"]
    lines += [".SH EXAMPLE", ".nf", *map(roff, _EXAMPLE.splitlines()), ".fi"]
    return "\n".join([*lines, *_see_also("amiws-gevent(8)")])


def completion() -> str:
    """What bash completes, for bash-completion's folder."""
    words: list[str] = []
    cases: dict[str, list[str]] = {}
    for action in _shown(options.parser()._actions):
        words += action.option_strings
        if action.nargs != 0:
            cases.setdefault(_values(action), []).extend(action.option_strings)
    body = [f"        {'|'.join(names)})\n            {what}" for what, names in cases.items()]
    return textwrap.dedent(
        """\
        # Completion of amiws-gevent for bash; made by scripts/manual.py.
        _amiws_gevent() {
            local at=$COMP_CWORD
            local cur=${COMP_WORDS[at]}
            # In --file=NAME the sign is a word.
            if [[ $cur == = ]]; then
                cur=
            elif [[ ${COMP_WORDS[at-1]} == = ]]; then
                at=$((at - 1))
            fi
            local prev=${COMP_WORDS[at-1]}
            COMPREPLY=()
            case $prev in
        %s
            esac
            mapfile -t COMPREPLY < <(compgen -W "%s" -- "$cur")
        }
        complete -o filenames -F _amiws_gevent amiws-gevent
        """
    ) % ("\n".join(body), " ".join(words))


def _values(action: argparse.Action) -> str:
    """The line that completes the value of an option."""
    if action.choices is not None:
        what = f'-W "{" ".join(map(str, action.choices))}"'
    elif action.type is Path:
        what = "-d" if action.metavar == "PATH" else "-f"
    else:
        return "[[ $cur == -* ]] || return;;" if action.nargs == "?" else "return;;"
    return f'mapfile -t COMPREPLY < <(compgen {what} -- "$cur"); return;;'


def _head(name: str, section: int, what: str) -> list[str]:
    return [
        f'.TH {roff(name.upper())} {section} "" "amiws\\-gevent {roff(__version__)}"',
        ".SH NAME",
        f"{roff(name)} \\- {roff(what)}",
    ]


def _see_also(page: str) -> list[str]:
    return [
        ".SH SEE ALSO",
        f"{roff(page)}, asterisk(8)",
        ".PP",
        "The documentation in docs/ of the source explains each key and option at length.",
        "",
    ]


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield ".PP"
        yield marked(" ".join(paragraph.split()))


def _option(action: argparse.Action) -> str:
    names = ", ".join(f"\\fB{roff(name)}\\fR" for name in action.option_strings)
    if action.nargs == 0:
        return names
    value = action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper()
    shown = f"\\fI{roff(str(value))}\\fR"
    optional, many = action.nargs == "?", action.nargs == "+"
    return f"{names} {f'[{shown}]' if optional else shown}{' ...' if many else ''}"


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = (action.help or "") % {"prog": parser.prog, **vars(action)}
    return text[:1].upper() + text[1:].rstrip(".") + "."


FILES = {
    f"{PROGRAM}.8": program_page,
    "amiws.yaml.5": configuration_page,
    f"{PROGRAM}.bash": completion,
}


def main(arguments: Iterable[str]) -> None:
    (folder,) = map(Path, arguments)
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in FILES.items():
        (folder / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
