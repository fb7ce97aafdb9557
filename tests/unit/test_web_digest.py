"""Digest against RFC 7616, nonces and their counts, and an htdigest file that changes."""

from __future__ import annotations

import hashlib

import pytest

from amiws_gevent.web.digest import (
    MAX_AUTHORIZATION,
    NC_WINDOW,
    NONCE_LIFETIME,
    BadAuthorization,
    DigestLogin,
    NonceTable,
    Outcome,
    parse_authorization,
    quote,
)
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
        challenge = parse_authorization(self.login.challenges()[0])
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


def test_nothing_is_said_of_the_password_of_who_has_to_wait(client: Client) -> None:
    asked = []

    def later(user: str, wrong: bool) -> float:
        asked.append((user, wrong))
        return 7.0

    for password in ("s3cret", "guess"):
        client.password = password
        outcome = client.login.verify("GET", "/", client.header(), judge=later)
        assert outcome == Outcome(wait=7.0, reason="too many wrong passwords", claimed="anna")
    assert asked == [("anna", False), ("anna", True)]
    assert client.login.verify("GET", "/", "Digest nonsense", judge=later).reason
    assert client.login.verify("GET", "/", None, judge=later) == Outcome()
    assert len(asked) == 2
    client.password = "s3cret"
    assert client.send(1).user == "anna"  # its count was not used


def test_the_password_from_before(clock: Clock) -> None:
    users = {"anna": ha1("anna", "new")}
    former = {"anna": (ha1("anna", "old"),), "bob": (ha1("bob", "new"), ha1("bob", "old"))}
    login = DigestLogin(
        REALM, users.get, NonceTable(clock=clock), former_of=lambda user: former.get(user, ())
    )
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
        ({"qop": "auth,auth-int"}, "cannot be parsed"),
        ({"algorithm": "MD5-sess"}, "algorithm=MD5"),
        ({"algorithm": "SHA-256-sess"}, "algorithm=MD5"),
        ({"algorithm": "SHA-512-256"}, "algorithm=MD5"),
        ({"algorithm": "SHA-256"}, "wrong password"),
        ({"userhash": "yes"}, "userhash"),
        ({"userhash": "true"}, "no such user"),
        ({"username*": "UTF-8''anna"}, "two user names"),
        ({"username": "", "username*": "anna"}, "not in UTF-8"),
        ({"username": "", "username*": "latin-1''anna"}, "not in UTF-8"),
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
    challenge = parse_authorization(login.challenges()[0])
    assert challenge["realm"] == REALM
    assert (challenge["qop"], challenge["algorithm"]) == ("auth", "MD5")
    assert "stale" not in challenge
    assert parse_authorization(login.challenges(stale=True)[0])["stale"] == "true"


def test_a_realm_in_utf_8_and_quotes(clock: Clock) -> None:
    login = DigestLogin('Büro "1"', dict[str, bytes]().get, NonceTable(clock=clock))
    header = login.challenges()[0]
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


# SHA-256


def sha256(user: str, password: str) -> bytes:
    return hashlib.sha256(f"{user}:{REALM}:{password}".encode()).hexdigest().encode()


class Both:
    """Users with SHA-256, as `HtdigestFile` has them."""

    def __init__(self, *names: str, everybody: bool = True) -> None:
        self.keys = {name: sha256(name, "s3cret") for name in names}
        self.everybody = everybody
        self.sha256 = self.keys.get

    def all_have_sha256(self) -> bool:
        return self.everybody

    def name_of(self, userhash: str) -> str | None:
        hashes = {
            hashlib.sha256(f"{name}:{REALM}".encode()).hexdigest(): name for name in self.keys
        }
        return hashes.get(userhash)


def by_sha256(login: DigestLogin, name: str, password: str, nc: int = 1, **more: str) -> Outcome:
    nonce = parse_authorization(login.challenges()[0])["nonce"]
    ha2 = hashlib.sha256(b"GET:/").hexdigest()
    key = sha256(name, password).decode()
    response = hashlib.sha256(f"{key}:{nonce}:{nc:08x}:c:auth:{ha2}".encode()).hexdigest()
    values = {
        "username": name,
        "realm": REALM,
        "nonce": nonce,
        "uri": "/",
        "qop": "auth",
        "nc": f"{nc:08x}",
        "cnonce": "c",
        "algorithm": "SHA-256",
        "response": response,
        **more,
    }
    parts = ", ".join(f"{key}={raw_quote(value)}" for key, value in values.items())
    return login.verify("GET", "/", f"Digest {parts}")


@pytest.fixture
def both(clock: Clock, users: dict[str, bytes]) -> DigestLogin:
    return DigestLogin(REALM, users.get, NonceTable(clock=clock), sha256=Both("anna"))


def test_the_example_of_rfc_7616_by_sha256() -> None:
    """Section 3.9.1."""

    class Fixed(NonceTable):
        def fresh(self, nonce: str) -> bool:
            return True

        def spend(self, nonce: str, count: int) -> bool:
            return True

    realm, password = "http-auth@example.org", "Circle of Life"
    key = hashlib.sha256(f"Mufasa:{realm}:{password}".encode()).hexdigest().encode()
    users = Both()
    users.keys["Mufasa"] = key
    md5 = {"Mufasa": ha1("Mufasa", password, realm)}
    login = DigestLogin(realm, md5.get, Fixed(), sha256=users)
    header = (
        'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
        'algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
        'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, '
        'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    outcome = login.verify("GET", "/dir/index.html", header)
    assert (outcome.user, outcome.ha1) == ("Mufasa", md5["Mufasa"])


def test_md5_comes_first_and_sha256_has_the_same_nonce(both: DigestLogin) -> None:
    md5, sha = map(parse_authorization, both.challenges(stale=True))
    assert (md5["algorithm"], sha["algorithm"]) == ("MD5", "SHA-256")
    assert md5["nonce"] == sha["nonce"]
    assert "userhash" not in md5
    assert sha["userhash"] == sha["stale"] == "true"


def test_sha256_is_offered_only_if_all_have_it(clock: Clock, users: dict[str, bytes]) -> None:
    some = Both("anna", everybody=False)
    login = DigestLogin(REALM, users.get, NonceTable(clock=clock), sha256=some)
    assert len(login.challenges()) == 1
    assert by_sha256(login, "anna", "s3cret").user == "anna"  # who began before may go on


def test_a_login_by_sha256(both: DigestLogin) -> None:
    outcome = by_sha256(both, "anna", "s3cret")
    assert (outcome.user, outcome.ha1) == ("anna", ha1("anna", "s3cret"))
    assert by_sha256(both, "anna", "guess").reason == "wrong password"
    assert by_sha256(both, "eve", "s3cret").reason == "no such user"
    assert by_sha256(both, "anna", "s3cret", algorithm="MD5").reason == "wrong password"


def test_a_user_without_an_entry_of_its_own_has_no_sha256(
    clock: Clock, users: dict[str, bytes]
) -> None:
    """An entry alone, of a user whose first line is gone, opens nothing."""
    del users["anna"]
    login = DigestLogin(REALM, users.get, NonceTable(clock=clock), sha256=Both("anna"))
    assert by_sha256(login, "anna", "s3cret").reason == "no such user"


def test_a_hashed_user_name(both: DigestLogin) -> None:
    hashed = hashlib.sha256(f"anna:{REALM}".encode()).hexdigest()
    assert by_sha256(both, "anna", "s3cret", username=hashed, userhash="true").user == "anna"
    assert by_sha256(both, "anna", "s3cret", username=hashed).user is None
    unknown = by_sha256(both, "anna", "s3cret", username="0" * 64, userhash="true")
    assert (unknown.user, unknown.claimed) == (None, "userhash:" + "0" * 64)


def test_an_extended_user_name(client: Client) -> None:
    client.user = "Jürgen ☎"
    header = client.header(username="").replace(
        'username=""', "username*=UTF-8''J%C3%BCrgen%20%E2%98%8E"
    )
    assert client.login.verify("GET", "/", header).user == "Jürgen ☎"


# Sessions


def test_all_nonces_of_a_session(clock: Clock, users: dict[str, bytes]) -> None:
    ended: set[tuple[str, bytes]] = set()
    login = DigestLogin(
        REALM,
        users.get,
        NonceTable(clock=clock),
        has_ended=lambda user, session, age: (user, session) in ended,
    )
    client, other = Client(login), Client(login)
    session = client.send().session
    assert len(session) == 8
    assert session == client.send(2).session != other.send().session
    old = client.nonce
    clock.now += NONCE_LIFETIME + 1
    stale = client.send(3)
    assert (stale.stale, stale.session) == (True, session)
    (challenge,) = login.challenges(stale=True, session=stale.session)
    client.nonce = parse_authorization(challenge)["nonce"]
    assert client.send().session == session
    ended.add(("anna", session))
    for nonce, nc in ((client.nonce, 2), (old, 4)):
        client.nonce = nonce
        outcome = client.send(nc)
        assert (outcome.user, outcome.stale, outcome.ended) == (None, False, True)
    wrong = Client(login, password="guess")
    wrong.nonce = old
    assert not wrong.send().ended  # it tells nothing to who has no password
    wrong = Client(login, "Jürgen ☎")
    wrong.nonce = old
    assert not wrong.send().ended  # another user of the same nonce has not logged out


def test_the_uri_below_a_prefix(client: Client) -> None:
    header = client.header(1, "/amiws/a?b")
    assert client.login.verify("GET", "/a?b", header, prefix="/amiws").user == "anna"
    header = client.header(2, "/a?b")
    assert client.login.verify("GET", "/a?b", header, prefix="/amiws").user == "anna"
    header = client.header(3, "/other/a?b")
    assert "uri" in client.login.verify("GET", "/a?b", header, prefix="/amiws").reason
