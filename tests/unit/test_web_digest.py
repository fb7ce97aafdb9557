"""Digest against RFC 7616, nonces and their counts, and an htdigest file that changes."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from pathlib import Path

import pytest

from amiws_gevent.web.digest import (
    GRACE_TIME,
    MAX_AUTHORIZATION,
    MAX_FILE,
    NC_WINDOW,
    NONCE_LIFETIME,
    SETTLE_TIME,
    BadAuthorization,
    DigestLogin,
    HtdigestFile,
    NonceTable,
    Outcome,
    parse_authorization,
    parse_htdigest,
    quote,
)
from amiws_gevent.web.former import FormerPasswords
from tests.support.clock import Clock

REALM = "call centre"
LOGGER = "amiws_gevent.web.digest"


def ha1(user: str, password: str, realm: str = REALM) -> bytes:
    return hashlib.md5(f"{user}:{realm}:{password}".encode()).hexdigest().encode()


class Client:
    """A browser: answers a challenge, and may be told to do it wrongly."""

    def __init__(self, login: DigestLogin, user: str = "anna", password: str = "s3cret") -> None:
        self.login = login
        self.user = user
        self.password = password
        self.nonce = self.new_nonce()

    def new_nonce(self) -> str:
        challenge = parse_authorization(self.login.challenge())
        return challenge["nonce"]

    def header(self, nc: int | str = 1, target: str = "/", **wrong: str) -> str:
        count = f"{nc:08x}" if isinstance(nc, int) else nc
        values = {
            "username": self.user.encode().decode("latin-1"),
            "realm": REALM,
            "nonce": self.nonce,
            "uri": target,
            "qop": "auth",
            "nc": count,
            "cnonce": "0a4f113b",
            **wrong,
        }
        method = values.pop("method", "GET")
        ha2 = hashlib.md5(f"{method}:{values['uri']}".encode("latin-1")).hexdigest()
        middle = ":".join(values[name] for name in ("nonce", "nc", "cnonce", "qop"))
        key = ha1(self.user, self.password).decode()
        answer = hashlib.md5(f"{key}:{middle}:{ha2}".encode("latin-1")).hexdigest()
        values.setdefault("response", answer)
        bare = {"qop", "nc", "algorithm"}
        return "Digest " + ", ".join(
            f"{name}={value}" if name in bare else f"{name}={raw_quote(value)}"
            for name, value in values.items()
        )

    def send(self, nc: int | str = 1, target: str = "/", **wrong: str) -> Outcome:
        return self.login.verify("GET", target, self.header(nc, target, **wrong))


def raw_quote(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users() -> dict[str, bytes]:
    return {"anna": ha1("anna", "s3cret"), "Jürgen ☎": ha1("Jürgen ☎", "s3cret")}


@pytest.fixture
def login(clock: Clock, users: dict[str, bytes]) -> DigestLogin:
    return DigestLogin(REALM, users.get, NonceTable(clock=clock))


@pytest.fixture
def client(login: DigestLogin) -> Client:
    return Client(login)


def test_the_example_of_rfc_7616() -> None:
    """Section 3.9.1, with its nonce taken as good."""

    class Fixed(NonceTable):
        def fresh(self, nonce: str) -> bool:
            return True

        def spend(self, nonce: str, count: int) -> bool:
            return True

    key = ha1("Mufasa", "Circle of Life", "http-auth@example.org")
    login = DigestLogin("http-auth@example.org", {"Mufasa": key}.get, Fixed())
    header = (
        'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
        'algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
        'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, '
        'response="8ca523f5e9506fed4657c9700eebdbec", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    assert login.verify("GET", "/dir/index.html", header).user == "Mufasa"
    assert login.verify("POST", "/dir/index.html", header).reason == "wrong password"


def test_a_right_password(client: Client) -> None:
    outcome = client.send()
    assert (outcome.user, outcome.ha1) == ("anna", ha1("anna", "s3cret"))
    assert ha1("anna", "s3cret").decode() not in repr(outcome)


def test_without_a_header_nothing_was_tried(login: DigestLogin) -> None:
    assert login.verify("GET", "/", None) == Outcome()
    assert login.verify("GET", "/", "") == Outcome()


def test_a_wrong_password(login: DigestLogin) -> None:
    outcome = Client(login, password="guess").send()
    assert (outcome.user, outcome.stale, outcome.reason) == (None, False, "wrong password")
    assert outcome.claimed == "anna"


def test_an_unknown_user_is_computed_like_any_other(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = []
    real = hashlib.md5

    def counted(*arguments: object, **options: object) -> object:
        hashes.append(arguments)
        return real(*arguments, **options)  # type: ignore[arg-type]

    login = DigestLogin(REALM, {"anna": ha1("anna", "s3cret")}.get, NonceTable(clock=clock))
    wrong, unknown = Client(login, password="guess").header(), Client(login, user="eve").header()
    monkeypatch.setattr(hashlib, "md5", counted)
    assert login.verify("GET", "/", wrong).reason == "wrong password"
    taken = len(hashes)
    assert login.verify("GET", "/", unknown).reason == "no such user"
    assert len(hashes) == 2 * taken


def test_nobody_looks_at_the_password_of_who_may_not_try(client: Client) -> None:
    asked = []

    def never(user: str) -> bool:
        asked.append(user)
        return False

    for password in ("s3cret", "guess"):
        client.password = password
        outcome = client.login.verify("GET", "/", client.header(), may_try=never)
        assert outcome == Outcome(
            passed_over=True, reason="too many wrong passwords", claimed="anna"
        )
    assert asked == ["anna", "anna"]
    assert client.login.verify("GET", "/", "Digest nonsense", may_try=never).reason
    assert client.login.verify("GET", "/", None, may_try=never) == Outcome()
    assert len(asked) == 2
    client.password = "s3cret"
    assert client.send(1).user == "anna"  # its count was not used


def test_the_password_from_before(clock: Clock) -> None:
    users = {"anna": ha1("anna", "new")}
    former = {"anna": ha1("anna", "old"), "bob": ha1("bob", "old")}
    login = DigestLogin(REALM, users.get, NonceTable(clock=clock), former_of=former.get)
    for user, reason in (("anna", "wrong password"), ("bob", "no such user")):
        outcome = Client(login, user, "old").send()
        assert (outcome.user, outcome.former, outcome.reason) == (None, True, reason)
        assert not Client(login, user, "guess").send().former
    assert not Client(login, "eve", "old").send().former
    assert Client(login, "anna", "new").send().user == "anna"


def test_a_user_name_in_utf_8(login: DigestLogin) -> None:
    assert Client(login, user="Jürgen ☎").send().user == "Jürgen ☎"


def test_a_user_name_that_is_no_utf_8_is_nobody(client: Client) -> None:
    assert client.send(username="J\xfcrgen").reason == "no such user"


def test_the_realm_of_another(client: Client) -> None:
    assert client.send(realm="other").reason == "the login is for another realm"


def test_the_uri_is_the_raw_target(client: Client) -> None:
    assert client.send(1, "/a%20b?x=1&y=%2F").user == "anna"
    assert client.login.verify("GET", "/a b", client.header(2, "/a%20b")).user is None
    refused = client.login.verify("GET", "/other", client.header(3, "/"))
    assert "uri" in refused.reason
    assert not refused.stale


def test_a_uri_with_quotes_and_backslashes(client: Client) -> None:
    assert client.send(1, '/?a="\\b,c').user == "anna"


def test_another_method(client: Client) -> None:
    header = client.header(1, "/", method="HEAD")
    assert client.login.verify("HEAD", "/", header).user == "anna"
    assert client.login.verify("GET", "/", client.header(2, "/", method="HEAD")).user is None


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"qop": "auth-int"}, "qop=auth"),
        ({"algorithm": "SHA-256"}, "algorithm=MD5"),
        ({"algorithm": "MD5-sess"}, "algorithm=MD5"),
        ({"userhash": "true"}, "userhash"),
        ({"nc": "1"}, "nonce count"),
        ({"nc": "00000000"}, "nonce count"),
        ({"nc": "0000000g"}, "nonce count"),
        ({"nc": "000000001"}, "nonce count"),
        ({"cnonce": ""}, "no cnonce"),
        ({"username": ""}, "no username"),
        ({"response": ""}, "no response"),
    ],
)
def test_logins_that_are_refused(client: Client, wrong: dict[str, str], reason: str) -> None:
    outcome = client.send(**wrong)
    assert outcome.user is None
    assert not outcome.stale
    assert reason in outcome.reason


@pytest.mark.parametrize("name", ["realm", "nonce", "uri", "qop", "nc", "cnonce", "response"])
def test_each_parameter_is_needed(client: Client, name: str) -> None:
    header = client.header().replace(f"{name}=", f"x{name}=")
    assert client.login.verify("GET", "/", header).reason == f"the login has no {name}"


def test_words_in_another_case(client: Client) -> None:
    header = client.header(1, "/", algorithm="md5").replace("Digest", "dIGEST")
    for name in ("username", "nonce", "qop"):
        header = header.replace(name + "=", name.upper() + "=")
    assert client.login.verify("GET", "/", header).user == "anna"


@pytest.mark.parametrize("response", ["\xff" * 32, "0" * 31, "A" * 32])
def test_a_response_that_is_no_hash(client: Client, response: str) -> None:
    assert client.send(response=response).reason == "wrong password"


# Nonces


def test_a_challenge_says_what_rfc_7616_asks(login: DigestLogin) -> None:
    challenge = parse_authorization(login.challenge())
    assert challenge["realm"] == REALM
    assert (challenge["qop"], challenge["algorithm"]) == ("auth", "MD5")
    assert "stale" not in challenge
    assert parse_authorization(login.challenge(stale=True))["stale"] == "true"


def test_a_realm_in_utf_8_and_quotes(clock: Clock) -> None:
    login = DigestLogin('Büro "1"', dict[str, bytes]().get, NonceTable(clock=clock))
    header = login.challenge()
    header.encode("latin-1")
    realm = parse_authorization(header)["realm"]
    assert realm.encode("latin-1").decode() == 'Büro "1"'


def test_an_expired_nonce_is_stale_only_with_the_right_password(
    client: Client, clock: Clock
) -> None:
    stranger = Client(client.login, password="guess")
    clock.now += NONCE_LIFETIME + 1
    assert client.send().stale
    assert not stranger.send().stale


def test_a_nonce_lasts_its_lifetime(client: Client, clock: Clock) -> None:
    clock.now += NONCE_LIFETIME - 1
    assert client.send().user == "anna"


def test_a_nonce_of_the_future_is_stale(client: Client, clock: Clock) -> None:
    clock.now -= 10
    assert client.send().stale


def test_the_nonce_of_another_process_is_stale(login: DigestLogin, users: dict[str, bytes]) -> None:
    before_restart = Client(DigestLogin(REALM, users.get, NonceTable()))
    outcome = login.verify("GET", "/", before_restart.header())
    assert (outcome.user, outcome.stale) == (None, True)


@pytest.mark.parametrize("nonce", ["x", "abc", "A" * 40, "ü", "A" * 39 + "=", " "])
def test_what_is_no_nonce_is_stale(client: Client, nonce: str) -> None:
    client.nonce = nonce
    assert client.send().stale


def test_another_spelling_of_a_nonce_is_not_the_nonce(client: Client) -> None:
    assert client.send().user == "anna"
    own = client.nonce
    for spelling in (own + "====", own[:20] + "!" + own[20:], own + "\n"):
        client.nonce = spelling
        assert client.send().user is None


def test_a_replay_is_stale(client: Client) -> None:
    assert client.send(1).user == "anna"
    outcome = client.send(1)
    assert (outcome.user, outcome.stale) == (None, True)


def test_counts_out_of_order_are_taken_once_each(client: Client) -> None:
    for count in (3, 1, 2, 6, 4, 5):
        assert client.send(count).user == "anna"
    for count in range(1, 7):
        assert client.send(count).stale


def test_a_count_too_far_back_is_stale(client: Client) -> None:
    assert client.send(NC_WINDOW + 1).user == "anna"
    assert client.send(2).user == "anna"
    assert client.send(1).stale


def test_the_largest_count_costs_no_memory(client: Client) -> None:
    assert client.send(1).user == "anna"
    assert client.send(0xFFFFFFFF).user == "anna"
    assert client.send(1).stale
    assert client.send(0xFFFFFFFE).user == "anna"


def test_a_wrong_answer_uses_no_count_and_no_memory(clock: Clock, users: dict[str, bytes]) -> None:
    nonces = NonceTable(clock=clock)
    login = DigestLogin(REALM, users.get, nonces)
    client = Client(login)
    assert client.send(1, response="0" * 32).user is None
    assert len(nonces) == 0
    assert client.send(1).user == "anna"
    assert len(nonces) == 1


def test_a_full_table_forgets_no_replay(clock: Clock, users: dict[str, bytes]) -> None:
    nonces = NonceTable(clock=clock, size=3)
    login = DigestLogin(REALM, users.get, nonces)
    clients = []
    for _ in range(5):
        clock.now += 1
        clients.append(Client(login))
    assert all(client.send(1).user for client in clients)
    assert len(nonces) == 3
    assert all(client.send(1).stale for client in clients)
    assert all(client.send(2).stale for client in clients[:2])
    assert all(client.send(2).user for client in clients[2:])


def test_expired_nonces_leave_the_table(clock: Clock, users: dict[str, bytes]) -> None:
    nonces = NonceTable(clock=clock)
    login = DigestLogin(REALM, users.get, nonces)
    for _ in range(5):
        assert Client(login).send().user
    clock.now += NONCE_LIFETIME + 1
    assert Client(login).send().user
    assert len(nonces) == 1


# The header's syntax


@pytest.mark.parametrize(
    "header",
    [
        'Digest a=b, c="d"',
        'digest  a=b,c="d"',
        'DIGEST ,, a = b , , c\t=\t"d" ,, ',
    ],
)
def test_spaces_and_commas(header: str) -> None:
    assert parse_authorization(header) == {"a": "b", "c": "d"}


def test_quotes() -> None:
    parsed = parse_authorization(r'Digest a="x\"y\\z", b="p,q=r", c=""')
    assert parsed == {"a": 'x"y\\z', "b": "p,q=r", "c": ""}


@pytest.mark.parametrize(
    "header",
    [
        "Basic YTpi",
        "Digestion a=b",
        'Digest a="b',
        'Digest a="b\\"',
        "Digest a",
        "Digest =b",
        "Digest a=b c=d",
        'Digest a="b"c',
        "Digest a=b; c=d",
        'Digest a="b\x00"',
        'Digest a="b\x1b[2J"',
        "Digest a=b\x7f",
        "Digest a=1, A=2",
        'Digest a=1, Digest a="2"',
        "Digest a=" + "x" * MAX_AUTHORIZATION,
    ],
)
def test_headers_that_are_no_login(header: str) -> None:
    with pytest.raises(BadAuthorization):
        parse_authorization(header)


def test_an_unusable_header_is_refused_not_an_error(login: DigestLogin) -> None:
    assert login.verify("GET", "/", "Basic YTpi").reason
    assert login.verify("GET", "/", "Digest").reason == "the login has no username"


def test_quote() -> None:
    assert quote('a"\\ü') == '"a\\"\\\\Ã¼"'


# The htdigest file


def test_lines_of_an_htdigest_file() -> None:
    good = ha1("anna", "x").upper()
    content = b"\xef\xbb\xbf# a comment\r\n\r\n" + b"\n".join(
        [
            b"anna:call centre:" + good + b"\r",
            b"anna:call centre:" + b"0" * 32,
            b"eve:elsewhere:" + good,
            "Jürgen:call centre:".encode() + good,
        ]
    )
    users, bad_lines = parse_htdigest(content, REALM)
    assert users == {"anna": good.lower(), "Jürgen": good.lower()}
    assert bad_lines == []


@pytest.mark.parametrize(
    "line",
    [
        b"anna",
        b"anna:call centre",
        b"anna:call centre:",
        b"anna:call centre:abc",
        b"anna:call centre:" + b"g" * 32,
        b":call centre:" + b"0" * 32,
        b"a:b:call centre:" + b"0" * 32,
        b"an\x00na:call centre:" + b"0" * 32,
        b"J\xfcrgen:call centre:" + b"0" * 32,
    ],
)
def test_lines_that_are_no_entry(line: bytes) -> None:
    good = b"bob:call centre:" + b"1" * 32
    users, bad_lines = parse_htdigest(b"\n".join([good, line, good]), REALM)
    assert users == {"bob": b"1" * 32}
    assert bad_lines == [2]


def entry(user: str, password: str, realm: str = REALM) -> str:
    return f"{user}:{realm}:{ha1(user, password, realm).decode()}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "htdigest"
    file.write_text(entry("anna", "one"))
    return file


@pytest.fixture
def htdigest(path: Path, clock: Clock) -> HtdigestFile:
    return HtdigestFile(path, REALM, FormerPasswords(), clock=clock)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_users_of_the_file(htdigest: HtdigestFile) -> None:
    assert htdigest.ha1("anna") == ha1("anna", "one")
    assert htdigest.ha1("eve") is None


def test_a_changed_file_counts_at_once(htdigest: HtdigestFile, path: Path) -> None:
    assert htdigest.ha1("anna") == ha1("anna", "one")
    path.write_text(entry("anna", "two") + entry("bob", "three"))
    assert htdigest.ha1("anna") == ha1("anna", "two")
    assert htdigest.ha1("bob") == ha1("bob", "three")
    path.write_text(entry("bob", "three"))
    assert htdigest.ha1("anna") is None


def test_what_the_file_had_before_is_remembered_behind_it(path: Path, clock: Clock) -> None:
    """Whether one object saw the change or, after a reload, two did."""
    former = FormerPasswords()
    path.write_text(entry("anna", "1") + entry("bob", "1"))
    first = HtdigestFile(path, REALM, former, clock=clock)
    assert first.ha1("anna") == ha1("anna", "1")
    assert former.ha1("anna") is None
    path.write_text(entry("anna", "22") + entry("bob", "1"))
    assert first.ha1("anna") == ha1("anna", "22")
    assert former.ha1("anna") == ha1("anna", "1")
    path.write_text(entry("anna", "22") + entry("carl", "333"))
    second = HtdigestFile(path, REALM, former, clock=clock)
    assert second.ha1("bob") is None
    assert former.ha1("bob") == ha1("bob", "1")
    assert former.ha1("anna") == ha1("anna", "1")
    assert former.ha1("carl") is None


def test_a_file_that_could_not_be_read_for_long_takes_nothing_from_memory(
    path: Path, clock: Clock
) -> None:
    former = FormerPasswords()
    htdigest = HtdigestFile(path, REALM, former, clock=clock)
    assert htdigest.ha1("anna") is not None
    path.unlink()
    assert htdigest.ha1("anna") is not None
    clock.now += GRACE_TIME
    assert htdigest.ha1("anna") is None
    path.write_text(entry("anna", "two"))
    assert htdigest.ha1("anna") == ha1("anna", "two")
    assert former.ha1("anna") == ha1("anna", "one")


def test_a_replaced_file_counts_at_once(htdigest: HtdigestFile, path: Path) -> None:
    assert htdigest.ha1("anna") == ha1("anna", "one")
    other = path.with_name("new")
    other.write_text(entry("anna", "two"))
    other.replace(path)
    assert htdigest.ha1("anna") == ha1("anna", "two")


def test_a_change_that_no_time_stamp_tells(
    htdigest: HtdigestFile, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writes within one tick of the file system, of the same size."""
    assert htdigest.ha1("anna") == ha1("anna", "one")
    frozen = path.stat()
    path.write_text(entry("anna", "two"))
    monkeypatch.setattr(Path, "stat", lambda _path: frozen)
    clock.now += 3600
    assert htdigest.ha1("anna") == ha1("anna", "two")


def test_a_settled_file_is_not_read_again(
    htdigest: HtdigestFile, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert htdigest.ha1("anna")
    clock.now += SETTLE_TIME
    assert htdigest.ha1("anna")

    def unexpected(*_arguments: object) -> bytes:
        raise AssertionError("read again")

    monkeypatch.setattr("amiws_gevent.web.digest._read_regular", unexpected)
    assert htdigest.ha1("anna") == ha1("anna", "one")


@pytest.mark.parametrize("half", ["", "anna:call cen", entry("anna", "two")[:-5]])
def test_a_half_written_file_changes_nothing_for_a_moment(
    htdigest: HtdigestFile, path: Path, clock: Clock, half: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert htdigest.ha1("anna") == ha1("anna", "one")
    path.write_text(half)
    assert htdigest.ha1("anna") == ha1("anna", "one")
    assert warnings(caplog) == []
    path.write_text(entry("anna", "two"))
    assert htdigest.ha1("anna") == ha1("anna", "two")


def test_a_file_that_stays_empty_lets_nobody_in(
    htdigest: HtdigestFile, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert htdigest.ha1("anna")
    path.write_text("")
    assert htdigest.ha1("anna")
    clock.now += SETTLE_TIME
    assert htdigest.ha1("anna") is None
    assert htdigest.ha1("anna") is None
    assert [line for line in warnings(caplog) if "no user of the realm" in line] == warnings(caplog)
    assert len(warnings(caplog)) == 1


def test_a_broken_line_is_named_once_and_never_shown(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(entry("anna", "one") + "bob:secret-in-the-clear\n")
    htdigest = HtdigestFile(path, REALM, FormerPasswords(), clock=clock)
    for _ in range(3):
        assert htdigest.ha1("anna")
        clock.now += SETTLE_TIME
    assert len(warnings(caplog)) == 1
    assert "line 2" in warnings(caplog)[0]
    assert "secret-in-the-clear" not in caplog.text
    assert ha1("anna", "one").decode() not in caplog.text


def test_no_user_of_the_realm_is_told(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(entry("anna", "one", "elsewhere"))
    assert HtdigestFile(path, REALM, FormerPasswords(), clock=clock).ha1("anna") is None
    assert "no user of the realm call centre" in caplog.text


def test_an_unreadable_file_keeps_its_users_for_a_while(
    htdigest: HtdigestFile, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert htdigest.ha1("anna")
    path.unlink()
    for _ in range(3):
        assert htdigest.ha1("anna")
    assert len(warnings(caplog)) == 1
    clock.now += GRACE_TIME
    for _ in range(3):
        assert htdigest.ha1("anna") is None
    assert len(warnings(caplog)) == 2
    path.write_text(entry("anna", "one"))
    assert htdigest.ha1("anna")
    assert len(warnings(caplog)) == 2
    path.unlink()
    assert htdigest.ha1("anna")
    assert len(warnings(caplog)) == 3


def test_a_file_that_was_never_there(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    htdigest = HtdigestFile(tmp_path / "none", REALM, FormerPasswords(), clock=clock)
    assert htdigest.ha1("anna") is None
    assert "cannot be read (No such file or directory): logins are refused" in caplog.text
    (tmp_path / "none").write_text(entry("anna", "one"))
    assert htdigest.ha1("anna")


def test_a_fifo_does_not_hang(tmp_path: Path, clock: Clock) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    assert (
        HtdigestFile(tmp_path / "fifo", REALM, FormerPasswords(), clock=clock).ha1("anna") is None
    )


def test_a_huge_file_is_not_read(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(MAX_FILE + 1)
    assert HtdigestFile(huge, REALM, FormerPasswords(), clock=clock).ha1("anna") is None
    assert "larger than" in caplog.text
