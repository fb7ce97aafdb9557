"""The settings of Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.config import (
    CLUSTER,
    SENTINEL,
    ConfigError,
    Endpoint,
    Redis,
    RedisAddress,
    Settings,
    load_settings,
    named_paths,
    security_warnings,
)
from amiws_gevent.config.redis import redis_address
from tests.support.certificates import make_certificate
from tests.support.hosts import ami_host

HOST = "amihosts:\n- {name: a, host: h, username: u, secret: s}\n"
SECRET = "hunter2hunter2"


def loaded(folder: Path, text: str) -> Redis | None:
    file = folder / "amiws.yaml"
    file.write_text(f"redis: {text}\n{HOST}")
    file.chmod(0o600)
    return load_settings(file, base=folder).settings.redis


def problems(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("unix:///run/r.sock", RedisAddress(path="/run/r.sock")),
        ("unix:///run/r%20s?db=3", RedisAddress(path="/run/r s", database=3)),
        ("redis://h", RedisAddress(hosts=(Endpoint("h", 6379),))),
        ("redis://[::1]:7000/2", RedisAddress(hosts=(Endpoint("::1", 7000),), database=2)),
        (
            "rediss://r.example.com:6380/",
            RedisAddress("", (Endpoint("r.example.com", 6380),), True),
        ),
        (
            "rediss+sentinel://a:1,[::1]:2,c/mymaster/3",
            RedisAddress(
                "",
                (Endpoint("a", 1), Endpoint("::1", 2), Endpoint("c", 26379)),
                True,
                3,
                SENTINEL,
                "mymaster",
            ),
        ),
        (
            "redis+cluster://a:1,b/",
            RedisAddress(hosts=(Endpoint("a", 1), Endpoint("b", 6379)), kind=CLUSTER),
        ),
    ],
)
def test_urls(url: str, address: RedisAddress) -> None:
    assert redis_address(url) == address
    assert redis_address(str(address)) == address or " " in address.path


@pytest.mark.parametrize(
    "url",
    [
        "",
        "r.sock",
        "/run/r.sock",
        "unix:r.sock",
        "unix://host/path",
        "unix:///p?db=x",
        "unix:///p?timeout=3",
        "redis://",
        "redis://h:x",
        "redis://h:99999",
        "redis://h/x",
        "redis://h?db=1",
        "redis://a b",
        "http://h",
        "redis://h/1/2",
        "redis://a:1,b:2",
        "redis+sentinel://a,b",
        "redis+sentinel://a,b/",
        "redis+sentinel://a,,b/m",
        "redis+sentinel://a:x/m",
        "redis+sentinel://a/m/x",
        "redis+sentinel://a/m/1/2",
        "redis+sentinel:///m",
        "redis+sentinel://a/m?db=1",
        "redis+cluster://",
        "redis+cluster://a/1",
        "unix+sentinel://a/m",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="must "):
        redis_address(url)


@pytest.mark.parametrize(
    "url", ["redis://h:99999", "redis://[::1]:65536/2", "redis+cluster://a:1,b:70000"]
)
def test_a_port_that_there_is_not(url: str) -> None:
    with pytest.raises(ValueError, match="must have a port from 1 to 65535"):
        redis_address(url)


def test_credentials_are_not_in_the_url_nor_shown(tmp_path: Path) -> None:
    told = problems(tmp_path, f"{{url: 'redis://user:{SECRET}@h'}}")
    assert "redis.url: must have no user and password: give username and password_file" in told
    assert SECRET not in told
    told = problems(tmp_path, f"{{url: 'redis+sentinel://:{SECRET}@h,i/m'}}")
    assert "sentinel_username and sentinel_password_file" in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://a,b", "name several as redis+sentinel://HOST:PORT,HOST:PORT/NAME"),
        ("redis+sentinel://a,b", "with the NAME by which the sentinels know the primary"),
        ("redis+cluster://a/1", "without a database"),
        ("redis+cluster://" + ",".join(f"h{n}" for n in range(65)), "at most 64 hosts, not 65"),
    ],
)
def test_what_is_wrong_with_several_hosts(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("+", r"\+")):
        redis_address(url)


def test_there_is_none_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") is None


def test_all_keys(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(f"{SECRET}\n")
    (tmp_path / "pw").chmod(0o600)
    pair = make_certificate(tmp_path, "localhost")
    made = loaded(
        tmp_path,
        "{url: 'rediss://h', username: amiws, password_file: pw, prefix: '{amiws}', "
        f"ssl_ca: {pair.ca}, ssl_cert: {pair.cert}, ssl_key: {pair.key}}}",
    )
    assert made is not None
    assert made.password is not None
    assert made.password.get_secret_value() == SECRET
    assert SECRET not in repr(made)
    assert (made.username, made.prefix, made.ssl_ca) == ("amiws", "{amiws}", pair.ca)
    sentinels = loaded(
        tmp_path,
        "{url: 'redis+sentinel://h/m', sentinel_username: u, sentinel_password_file: pw}",
    )
    assert sentinels is not None
    assert sentinels.sentinel_password is not None
    assert sentinels.sentinel_password.get_secret_value() == SECRET
    assert SECRET not in repr(sentinels)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "redis.url: is missing"),
        ("unix:///run/r.sock", "redis: "),
        ("{url: 'redis://h', username: u}", "redis.username: needs password or password_file"),
        ("{url: 'redis://h', password: p, password_file: f}", "give only one of them"),
        ("{url: 'redis://h', password_file: f}", "redis.password_file: 'f' does not exist"),
        ("{url: 'redis://h', ssl_ca: f}", "redis.ssl_ca: has no effect without rediss in url"),
        ("{url: 'redis+cluster://h', ssl_ca: f}", "ssl_ca: has no effect without rediss"),
        ("{url: 'redis://h', sentinel_password: p}", "no effect without redis+sentinel://"),
        ("{url: 'redis+sentinel://h/m', sentinel_username: u}", "needs sentinel_password or"),
        ("{url: 'redis+sentinel://h/m', sentinel_password_file: f}", "'f' does not exist"),
        ("{url: 'rediss://h', ssl_cert: f}", "redis.ssl_cert: needs ssl_key too"),
        ("{url: 'redis://h', prefix: 'a b'}", "redis.prefix: must be 1 to 64 letters"),
        ("{url: 'redis://h', prefix: 'a{}'}", "redis.prefix: must have one pair of braces"),
        ("{url: 'redis://h', prefix: '}a{'}", "redis.prefix: must have one pair of braces"),
    ],
)
def test_mistakes_are_told_by_key(tmp_path: Path, text: str, told: str) -> None:
    assert told in problems(tmp_path, text)


def test_a_password_that_all_can_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "amiws.yaml"
    (tmp_path / "pw").write_text(SECRET)
    (tmp_path / "pw").chmod(0o644)
    host = HOST.replace("secret: s", "secret_file: pw")
    file.write_text(f"redis: {{url: 'redis://h', password: {SECRET}}}\n{host}")
    file.chmod(0o644)
    told = load_settings(file, base=tmp_path).warnings
    assert any("redis.password: is in a file that" in line for line in told)
    file.write_text(f"redis: {{url: 'redis://h', password_file: pw}}\n{host}")
    told = load_settings(file, base=tmp_path).warnings
    assert any("redis.password_file: names a file that" in line for line in told)
    url = "redis+sentinel://h/m"
    file.write_text(f"redis: {{url: '{url}', sentinel_password_file: pw}}\n{host}")
    told = load_settings(file, base=tmp_path).warnings
    assert any("redis.sentinel_password_file: names a file that" in line for line in told)


def test_no_file_of_it_is_served(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(SECRET)
    given = {"url": f"unix://{tmp_path}/r.sock", "password_file": tmp_path / "pw"}
    settings = Settings(amihosts=(ami_host(),), web_root=Path("/"), redis=given)
    assert {tmp_path / "pw", tmp_path / "r.sock"} <= set(named_paths(settings))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "unix:///r"}, []),
        ({"url": "redis://127.0.0.1"}, []),
        ({"url": "redis://r.example.com"}, ["no TLS", "no password"]),
        ({"url": "rediss://r.example.com"}, ["no password"]),
        ({"url": "rediss://r.example.com", "password": "p"}, []),
        ({"url": "redis+sentinel://127.0.0.1,[::1]/m"}, []),
        ({"url": "redis+sentinel://127.0.0.1,b.example.com/m"}, ["rediss+sentinel", "no password"]),
        ({"url": "rediss+cluster://a,b", "password": "p"}, []),
    ],
)
def test_an_open_redis_is_warned_of(given: dict[str, str], words: list[str]) -> None:
    settings = Settings(
        amihosts=(ami_host(),), web_root=Path("/"), ws_host="127.0.0.1", redis=given
    )
    told = security_warnings(settings)
    assert len(told) == len(words)
    assert all(word in line for word, line in zip(words, told, strict=True))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("workers: 2", ""),
        ("workers: auto\nprocess: edge\nredis: {url: 'unix:///r'}", ""),
        ("workers: 2\nprocess: edge", "process: edge needs redis"),
        ("workers: 0", "workers: must be auto or a number from 1 to 128, not '0'"),
        ("workers: many", "workers: must be auto or a number from 1 to 128, not 'many'"),
        ("workers: [2]", "workers: must be auto or a number from 1 to 128, not a list"),
        (
            "workers: 2\nprocess: collector\nredis: {url: 'unix:///r'}",
            "workers: has no effect on a collector",
        ),
    ],
)
def test_workers(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "amiws.yaml"
    file.write_text(f"{text}\n{HOST}")
    if not told:
        assert load_settings(file, base=tmp_path).settings.workers in (2, "auto")
        return
    with pytest.raises(ConfigError) as caught:
        load_settings(file, base=tmp_path)
    assert told in str(caught.value)
