"""A file, from its text to settings or to all that is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import gevent
import pytest

from amiws_gevent import resources
from amiws_gevent.config import ConfigError, load_settings
from amiws_gevent.runtime import loop
from tests.support.certificates import make_certificate
from tests.support.config import ONE_HOST, load, problems, warnings, write

SECRET = "hunter2"

# As an operator of the C program has it: blanks before colons, no quotes, no new key.
AMIWS = """\
# amiws
log_facility  : 160   # LOG_LOCAL4
log_level     : 7
ws_port       : 8080
web_root      : pages
auth_domain   : example.com
auth_file     : .auth
ssl_cert      : cert.pem
ssl_key       : key.pem
amihosts:
  - name: lug02.example.com
    port: 5039
    host: 10.230.12.32
    username: admin
    secret: 0123
    ssl_cert: cert.pem
    ssl_key: key.pem
    event_names: "Hangup,Newchannel"
  - name: lug03.example.com
    host: 10.230.12.33
    username: 007
    secret: yes
"""


@pytest.fixture(autouse=True)
def _dashboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that are read here say ``web_root`` or do not care which it is."""
    monkeypatch.setattr(resources, "dashboard_root", lambda: tmp_path)


def test_a_file_of_amiws(tmp_path: Path) -> None:
    make_certificate(tmp_path, "localhost")
    (tmp_path / "pages").mkdir()
    (tmp_path / ".auth").write_text("alice:example.com:abc\n")
    result = load(tmp_path, AMIWS)
    made = result.settings
    assert result.warnings == []
    assert made.path == tmp_path / "amiws.yaml"
    assert (made.log_facility, made.log_level, made.ws_port) == (160, 7, 8080)
    assert made.web_root == tmp_path / "pages"
    assert (made.auth_domain, made.auth_file) == ("example.com", tmp_path / ".auth")
    assert (made.ssl_cert, made.ssl_key) == (tmp_path / "cert.pem", tmp_path / "key.pem")
    one, two = made.amihosts
    assert (one.id, one.name, one.host, one.port) == (1, "lug02.example.com", "10.230.12.32", 5039)
    assert (one.username, one.secret.get_secret_value()) == ("admin", "0123")
    assert (one.ssl, one.ssl_verify, one.ssl_cert) == (True, False, tmp_path / "cert.pem")
    assert one.event_names == {"hangup", "newchannel"}
    assert (two.id, two.port, two.ssl) == (2, 5038, False)
    assert (two.username, two.secret.get_secret_value()) == ("007", "yes")


@pytest.mark.parametrize("secret", ["0123", "12345", "yes", "1e5", "null", "~", "0x10", "1:30"])
def test_a_secret_is_the_text_of_the_file(tmp_path: Path, secret: str) -> None:
    made = load(tmp_path, ONE_HOST.replace("s3cr3t", secret)).settings
    assert made.amihosts[0].secret.get_secret_value() == secret


def test_every_problem_is_told_at_once_with_key_and_line(tmp_path: Path) -> None:
    text = """\
ws_port: 8a998
log_level: loud
ssl_cert: none.pem
auth_domain: example.com
limits:
  ami_line: 5 parsecs
amihosts:
  - name: pbx1
    host: 10.0.0.1:5038
    port: 70000
    secret: a
  - name: pbx2
    usename: b
    host: 10.0.0.2
    secret: ${NOWHERE}
    id: 1
    ssl: no
    ssl_fingerprint: abc
  - pbx3
"""
    assert problems(tmp_path, text) == [
        "1: ws_port: must be a whole number from 0 to 65535, not '8a998'",
        (
            "2: log_level: must be a priority of syslog, 0 to 7 or emerg, alert, crit, err, "
            "warning, notice, info, debug, not 'loud'"
        ),
        "3: ssl_cert: 'none.pem' does not exist",
        "3: ssl_cert: needs ssl_key too; give both or neither",
        "4: auth_domain: needs auth_file too; give both or neither",
        (
            "6: limits.ami_line: must be a size such as 1048576, 512k or 4 MiB, at least 1 byte, "
            "not '5 parsecs'"
        ),
        "8: amihosts[0].username: server 'pbx1': is missing",
        (
            "9: amihosts[0].host: server 'pbx1': must be a host name or an address without a port "
            "(it has its own key), not '10.0.0.1:5038'"
        ),
        "10: amihosts[0].port: server 'pbx1': must be a whole number from 1 to 65535, not '70000'",
        "12: amihosts[1].username: server 'pbx2': is missing; is it 'usename' in line 13?",
        (
            "15: amihosts[1].secret: server 'pbx2': the environment variable NOWHERE is not set; "
            "set it, or write $${NOWHERE} if the text itself is meant"
        ),
        (
            "16: amihosts[1].id: server 'pbx2': 1 is the id of amihosts[0] ('pbx1') and "
            "amihosts[1] ('pbx2'); give each one of its own "
            "(a server without the key has its place in the list, from 1)"
        ),
        (
            "18: amihosts[1].ssl_fingerprint: server 'pbx2': has no effect with ssl: no; "
            "remove it or write ssl: yes"
        ),
        (
            "18: amihosts[1].ssl_fingerprint: server 'pbx2': must be the SHA-256 of the server's "
            "certificate, 64 hexadecimal digits with or without colons "
            "(openssl x509 -noout -fingerprint -sha256), not 'abc'"
        ),
        "19: amihosts[2]: must be a mapping, lines of `key: value` under it",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ws_port: 8000\n", ["1: amihosts: is missing"]),
        ("amihosts:\n", ["1: amihosts: has no value; a text that begins with # & * or ! "]),
        ("amihosts: []\n", ["1: amihosts: must have at least one server"]),
        ("\namihosts: pbx\n", ["2: amihosts: must be a list of servers, each beginning with"]),
        ("amihosts:\n  name: pbx\n", ["1: amihosts: must be a list of servers, each beginning"]),
        ("amihosts:\n  -\n", ["2: amihosts[0]: must be a mapping"]),
        ("amihosts: [[name]]\n", ["1: amihosts[0]: must be a mapping"]),
        ("amihosts: &a [*a]\n", ["1: amihosts[0]: must be a mapping"]),
        (ONE_HOST + "limits: 5\n", ["6: limits: must be a mapping"]),
        (ONE_HOST + "limits: [5]\n", ["6: limits: must be a mapping"]),
        (ONE_HOST + "ws_host: [5]\n", ["6: ws_host: must be text, not a list"]),
        (ONE_HOST + "ws_host: {a: 5}\n", ["6: ws_host: must be text, not a mapping"]),
        (ONE_HOST + "allowed_origins: [[a]]\n", ["6: allowed_origins: must be origins, all "]),
        (ONE_HOST + "allowed_origins: &a [*a]\n", ["6: allowed_origins: must be origins, all "]),
        (ONE_HOST + "web_root: ''\n", ["6: web_root: must be a path, not ''"]),
        (ONE_HOST + "ws_port: -1\n", ["6: ws_port: must be a whole number from 0 to 65535"]),
        (ONE_HOST + "ws_port: 80000\n", ["6: ws_port: must be a whole number from 0 to 65535"]),
        (
            ONE_HOST + "    !x k: 1\n",
            ["2: amihosts[0]: server 'pbx1': has a key that is not plain"],
        ),
        (ONE_HOST.replace("s3cr3t", ""), ["5: amihosts[0].secret: server 'pbx1': has no value; a"]),
        (
            ONE_HOST.replace("    secret: s3cr3t\n", ""),
            ["2: amihosts[0].secret: server 'pbx1': is missing; give secret or secret_f"],
        ),
        ("", ["is empty; it needs at least amihosts, the list of servers"]),
        ("a: b: c\n", ["1: is not YAML: mapping values are not allowed here"]),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, told: list[str]) -> None:
    found = problems(tmp_path, text)
    assert [line[: len(start)] for line, start in zip(found, told, strict=True)] == told


@pytest.mark.parametrize("port", ["1", "80", "65535", "18080", "0"])
def test_ports(tmp_path: Path, port: str) -> None:
    assert load(tmp_path, f"{ONE_HOST}ws_port: {port}\n").settings.ws_port == int(port)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path}/none.yaml: does not exist; name the file with --file"
    assert caught.value.exit_status == 78


def test_relative_paths_count_from_the_base_or_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "secret").chmod(0o600)
    text = ONE_HOST.replace("secret: s3cr3t", "secret_file: secret") + "web_root: ./pages\n"
    (tmp_path / "etc").mkdir()
    write(tmp_path / "etc", text)
    by_base = load_settings(Path("etc/amiws.yaml"), base=tmp_path)
    monkeypatch.chdir(tmp_path)
    by_directory = load_settings(Path("etc/amiws.yaml"))
    assert by_base == by_directory
    assert by_base.settings.path == tmp_path / "etc/amiws.yaml"
    assert by_base.settings.web_root == tmp_path / "pages"
    assert by_base.settings.amihosts[0].secret_file == tmp_path / "secret"
    assert by_base.settings.amihosts[0].secret.get_secret_value() == SECRET


def test_the_root_of_the_clients_follows_links(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "pages").symlink_to("v1")
    made = load(tmp_path, ONE_HOST + "web_root: pages\n").settings
    assert made.web_root == (tmp_path / "v1").resolve()


def test_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ONE_HOST.replace("s3cr3t", "${PBX_SECRET}").replace("10.0.0.1", "pbx.${DOMAIN}")
    text += "ws_port: ${PORT}\n"
    environ = {"PBX_SECRET": "a: #b", "DOMAIN": "example.com", "PORT": "8088"}
    made = load(tmp_path, text, environ).settings
    assert made.amihosts[0].secret.get_secret_value() == "a: #b"
    assert made.amihosts[0].host == "pbx.example.com"
    assert made.ws_port == 8088
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert load_settings(tmp_path / "amiws.yaml", base=tmp_path).settings == made


def test_a_literal_variable(tmp_path: Path) -> None:
    made = load(tmp_path, ONE_HOST.replace("s3cr3t", "$${HOME}$HOME")).settings
    assert made.amihosts[0].secret.get_secret_value() == "${HOME}$HOME"


def test_an_unset_variable_is_one_problem(tmp_path: Path) -> None:
    for line in ("ws_port: ${NO}", "web_root: ${NO}/pages", "log_level: ${NO}"):
        (problem,) = problems(tmp_path, f"{ONE_HOST}{line}\n")
        assert "the environment variable NO is not set" in problem


def test_unknown_keys_are_warned_of(tmp_path: Path) -> None:
    text = (
        "log_levl: 3\nport: 1\nx-note: 1\nzzz: ${NO}\n"
        + ONE_HOST
        + "    prot: 1\n    x-y: 1\nlimits:\n  ami_lin: 4\n"
    )
    result = load(tmp_path, text)
    assert [line.removeprefix(f"{tmp_path}/amiws.yaml:") for line in result.warnings] == [
        '1: log_levl: unknown key, ignored; did you mean "log_level"?',
        '2: port: unknown key, ignored; did you mean "ws_port"? (it is a key of amihosts)',
        "4: zzz: unknown key, ignored",
        "10: amihosts[0].prot: server 'pbx1': unknown key, ignored; did you mean \"port\"?",
        "11: amihosts[0].x-y: server 'pbx1': unknown key, ignored",
        '13: limits.ami_lin: unknown key, ignored; did you mean "ami_line"?',
    ]
    assert result.settings.log_level == 6


def test_what_is_not_followed_by_a_blank_shows_no_value(tmp_path: Path) -> None:
    text = ONE_HOST.replace("secret: s3cr3t", "port: 5039") + (
        "  - {name: pbx2, host: h, username: u, secret:hunter2}\n"
    )
    (path := write(tmp_path, text)).chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        load_settings(path, base=tmp_path)
    assert "hunter2" not in f"{caught.value}{caught.value.warnings}"
    assert caught.value.warnings == [
        (
            f"{path}:6: amihosts[1].secret: server 'pbx2': needs a space after the colon of "
            'secret: write "secret: …"'
        )
    ]


@pytest.mark.parametrize(
    "line",
    [
        "passwd: hunter2",
        "sercet: hunter2",
        "secret: [hunter2]",
        "secret: {hunter2: 1}",
        "hunter: 1",
    ],
)
def test_no_value_of_a_secret_is_shown(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, ONE_HOST.replace("secret: s3cr3t", line))
    with pytest.raises(ConfigError) as caught:
        load_settings(path, base=tmp_path)
    assert "hunter2" not in f"{caught.value}{caught.value.warnings}"


def test_events_that_asterisk_does_not_have(tmp_path: Path) -> None:
    text = ONE_HOST + '    event_names: "QueueCaller, Hangupp,newchannel"\n'
    assert warnings(tmp_path, text) == [
        (
            "6: amihosts[0].event_names: server 'pbx1': 'Hangupp' is not an event of Asterisk, and "
            'only whole names match; did you mean "Hangup"?'
        ),
        (
            "6: amihosts[0].event_names: server 'pbx1': 'QueueCaller' is not an event of Asterisk, "
            "and only whole names match; for all events with it in their name write "
            "QueueCallerAbandon, QueueCallerJoin, QueueCallerLeave"
        ),
    ]
    listed = ONE_HOST + "    event_names: [Hangup, '${E}']\n"
    (told,) = warnings(tmp_path, listed, {"E": "hunter2"})
    assert told.endswith("what '${E}' stands for contains a name that is not an Asterisk event")


def test_slips_are_what_is_not_read_as_it_stands(tmp_path: Path) -> None:
    text = ONE_HOST.replace("s3cr3t", "ab #c") + "    event_names: Hangupp\nws_prt: 1\n"
    path = write(tmp_path, text + "ws_port: 1\nws_port: 2\n")
    path.chmod(0o644)
    result = load_settings(path, base=tmp_path)
    assert [line.split(": ")[1] for line in result.slips] == [
        *("amihosts[0].secret", "amihosts[0].event_names", "ws_prt", "ws_port")
    ]
    assert len(result.warnings) == len(result.slips) + 1, "a file that all may read is no slip"
    assert set(result.slips) < set(result.warnings)


def test_keys_that_the_command_line_replaces_are_not_read(tmp_path: Path) -> None:
    host = {"name": "demo", "host": "h", "username": "u", "secret": "s"}
    path = write(tmp_path, "ws_port: x\namihosts:\n- {secret: '${NO}', prot: 1}\n")
    result = load_settings(path, base=tmp_path, replaced={"ws_port": 81, "amihosts": [host]})
    assert (result.settings.ws_port, result.warnings) == (81, [])
    assert [host.name for host in result.settings.amihosts] == ["demo"]
    path = write(tmp_path, "metrics_listen: :81\n")
    with pytest.raises(ConfigError, match="has the port of ws_port"):
        load_settings(path, base=tmp_path, replaced={"ws_port": 81, "amihosts": [host]})


def test_a_key_given_twice(tmp_path: Path) -> None:
    text = "ws_port: 1\n" + ONE_HOST + "ws_port: 2\n"
    assert load(tmp_path, text).settings.ws_port == 2
    assert warnings(tmp_path, text) == [
        "7: ws_port: is given twice; the value of line 1 is ignored"
    ]


def test_anchors_and_merging(tmp_path: Path) -> None:
    text = """\
x-account: &account
  username: u
  secret: s
  port: 5039
amihosts:
  - &first
    name: a
    host: h1
    <<: *account
  - <<: *first
    name: b
    port: 5040
"""
    result = load(tmp_path, text)
    assert result.warnings == []
    one, two = result.settings.amihosts
    assert (one.name, one.host, one.port, one.username) == ("a", "h1", 5039, "u")
    assert (two.name, two.host, two.port, two.username) == ("b", "h1", 5040, "u")
    (problem,) = problems(tmp_path, text.replace("5039", "x"))
    assert problem.startswith("4: amihosts[0].port: server 'a': must be a whole number")


def test_a_secret_that_others_may_read(tmp_path: Path) -> None:
    path = write(tmp_path, ONE_HOST)
    path.chmod(0o644)
    (warning,) = load_settings(path, base=tmp_path).warnings
    assert warning.startswith(
        f"{path}:5: amihosts[0].secret: server 'pbx1': is in a file that every user of this machine"
    )
    path.write_text(ONE_HOST.replace("s3cr3t", "${S}"))
    assert load_settings(path, base=tmp_path, environ={"S": "x"}).warnings == []


def test_a_secret_file_that_others_may_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    text = ONE_HOST.replace("secret: s3cr3t", "secret_file: secret")
    (warning,) = warnings(tmp_path, text)
    assert warning.startswith(
        "5: amihosts[0].secret_file: server 'pbx1': names a file that every user of this machine"
    )
    secret.chmod(0o640)
    assert warnings(tmp_path, text) == []


def test_two_servers_of_one_name(tmp_path: Path) -> None:
    text = ONE_HOST + ONE_HOST.partition("\n")[2]
    (warning,) = warnings(tmp_path, text)
    assert warning == (
        "6: amihosts[1].name: server 'pbx1': "
        "is also the name of amihosts[0]; clients cannot tell them apart"
    )


def test_authorities_that_are_not_used(tmp_path: Path) -> None:
    make_certificate(tmp_path, "localhost")
    text = ONE_HOST + "    ssl: yes\n    ssl_ca: cert.pem\n    ssl_verify: no\n"
    (warning,) = warnings(tmp_path, text)
    assert warning.endswith("ssl_ca: server 'pbx1': has no effect with ssl_verify: no")
    assert warnings(tmp_path, text.replace("ssl_verify: no", "ssl_verify: yes")) == []


def test_an_auth_file_without_a_user(tmp_path: Path) -> None:
    users = tmp_path / "htdigest"
    users.write_text("alice:elsewhere:abc\n")
    text = ONE_HOST + "auth_domain: here\nauth_file: htdigest\n"
    (warning,) = warnings(tmp_path, text)
    assert warning.startswith("7: auth_file: has no user of the realm in auth_domain")
    users.write_text("alice:here:abc\n")
    assert warnings(tmp_path, text) == []


def test_a_problem_of_the_file_keeps_its_warnings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "amihost: []\n")
    assert caught.value.warnings == [
        f'{tmp_path}/amiws.yaml:1: amihost: unknown key, ignored; did you mean "amihosts"?'
    ]
    assert "is it 'amihost' in line 1?" in str(caught.value)


WITH_SECRET = """\
ws_port: {other}
amihosts:
  - name: pbx1
    host: {other}
    username: u
    {secret}
    {more}
"""


@pytest.mark.parametrize(
    "secret",
    [
        f"secret: {SECRET}",
        f'secret: "{SECRET}\\n"',
        f'secret: "{SECRET}\\0"',
        f"secret: {SECRET * 200}",
        f"secret: [{SECRET}]",
        f"secret: {{{SECRET}: {SECRET}}}",
        f"secret: {{{{ {SECRET} }}}}",
        f"secret: !{SECRET}",
        f"secret: *{SECRET}",
        f"secret: &{SECRET}",
        f"secret: '{SECRET}",
        f"secret: {SECRET}: {SECRET}",
        f"sercet: {SECRET}",
        f"secret: {SECRET}\n    secret: {SECRET}{SECRET}",
        f"secret: {SECRET}\n    secret_file: none",
        "secret: ${PASSWORD}",
        "secret: '${PASSWORD}\n\n'",
    ],
)
def test_no_message_ever_shows_a_secret(tmp_path: Path, secret: str) -> None:
    for other, more in (("'${PASSWORD}:'", "port: '${PASSWORD}'"), ("x:y", "login: ${PASSWORD}")):
        text = WITH_SECRET.format(secret=secret, other=other, more=more)
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, text, {"PASSWORD": SECRET})
        told = [str(caught.value), repr(caught.value), *caught.value.warnings]
        assert SECRET not in "\n".join(told)
        assert caught.value.__cause__ is None


def test_values_are_shortened_and_escaped(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, ONE_HOST + f'ws_port: "\\e[31m{"x" * 5000}"\n')
    assert len(problem) < 200
    assert "\x1b" not in problem


def test_the_web_s_certificate_must_fit_its_key(tmp_path: Path) -> None:
    make_certificate(tmp_path, "localhost")
    make_certificate(tmp_path / "other", "localhost")
    text = ONE_HOST + "ssl_cert: cert.pem\nssl_key: other/key.pem\n"
    assert problems(tmp_path, text) == [
        "7: ssl_key: 'other/key.pem' is not the key of the certificate in ssl_cert"
    ]


def test_a_named_pipe_is_no_secret_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    text = ONE_HOST.replace("secret: s3cr3t", "secret_file: pipe")
    assert problems(tmp_path, text) == [
        "5: amihosts[0].secret_file: server 'pbx1': 'pipe' is not a regular file"
    ]


def test_references_that_multiply_are_not_followed(tmp_path: Path) -> None:
    lines = ["x-0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "\n".join(lines) + f"\n{ONE_HOST}allowed_origins: *a11\nlimits: *a11\n"
    assert len(problems(tmp_path, text)) == 2


# Tokens


HASH = "sha256:" + "0123456789abcdef" * 4


def test_tokens(tmp_path: Path) -> None:
    text = f"api_tokens:\n- name: crm\n  hash: {HASH}\n- {{name: 007, hash: {HASH[:-1]}A}}\n"
    one, two = load(tmp_path, text + ONE_HOST).settings.api_tokens
    assert (one.name, one.hash) == ("crm", HASH)
    assert (two.name, two.hash) == ("007", HASH[:-1] + "a")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("- {name: a b, hash: HASH}", "api_tokens[0].name: must be a name of up to 64 letters"),
        ("- {name: a, hash: hunter2}", "api_tokens[0].hash: must be the line that"),
        ("- {name: a, hash: sha256:hunter2}", "api_tokens[0].hash: must be the line that"),
        ("- {name: a}", "api_tokens[0].hash: is missing"),
        ("- {hash: HASH}", "api_tokens[0].name: is missing"),
        ("- {name: a, hash: HASH}\n- {name: a, hash: HASH0}", "api_tokens[1].name: is also that"),
        (
            "- {name: a, hash: HASH}\n- {name: b, hash: HASH}",
            "api_tokens[1].hash: is also that of api_tokens[0]",
        ),
        ("  crm", "api_tokens: must be a list"),
    ],
)
def test_tokens_that_are_none(tmp_path: Path, lines: str, told: str) -> None:
    lines = lines.replace("HASH0", HASH[:-1] + "0").replace("HASH", HASH)
    found = problems(tmp_path, f"api_tokens:\n{lines}\n{ONE_HOST}")
    assert any(told in line for line in found), found
    assert not any(SECRET in line or HASH in line for line in found)


def test_links_are_read_while_a_reload_reads_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 200 servers it takes 0.1 s, and Asterisk drops a session that is not read for as long."""
    monkeypatch.setattr(loop, "PIECE", 0.0)
    file = tmp_path / "amiws.yaml"
    server = "- {name: pbx, host: pbx, username: u, secret: s}\n"
    file.write_text("ws_host: 127.0.0.1\namihosts:\n" + 20 * server)
    loading = gevent.spawn(load_settings, file)
    turns = 0
    while not loading.ready():
        turns += 1
        loop.yield_to_loop()
    assert len(loading.get().settings.amihosts) == 20
    assert turns > 20
