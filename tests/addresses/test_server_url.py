"""The address of the store: what it may look like, and what of it nobody gets to see."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.addresses.server_url import SCHEMES, parse, without_password
from ironforge.errors import ConfigError
from ironforge.redis.server_locator import ServerLocator
from ironforge.settings import load

HOSTS = st.lists(
    st.tuples(st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5})?", fullmatch=True), st.integers(1, 65_535)),
    min_size=1,
    max_size=4,
)


@given(HOSTS)
def test_the_hosts_of_a_cluster_are_found_again(hosts: list[tuple[str, int]]) -> None:
    url = "redis+cluster://" + ",".join(f"{host}:{port}" for host, port in hosts)
    assert parse(url).hosts == hosts


def test_a_login_and_parameters_are_for_the_server_and_those_of_the_sentinels_for_them() -> None:
    url = parse("rediss+sentinel://me:pa%40ss@one,[::1]:27000/forge?sentinel_password=hush&ssl_ca_certs=/ca.pem")
    assert url.hosts == [("one", 26_379), ("::1", 27_000)]
    assert url.asking == {"password": "hush"}
    assert url.server("10.0.0.1", 6_379) == "rediss://me:pa%40ss@10.0.0.1:6379?ssl_ca_certs=%2Fca.pem"
    assert url.server("fe80::1", 6_379) == "rediss://me:pa%40ss@[fe80::1]:6379?ssl_ca_certs=%2Fca.pem"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://x", "scheme 'http' is not one of redis://"),
        ("unix+cluster:///x", "scheme 'unix+cluster' is not one of"),
        ("REDIS://x", "scheme 'REDIS' is written in small letters, redis://"),
        ("redis:/host", "it begins with none of redis://"),
        ("host:6379", "it begins with none of redis://"),
        (" redis://host", "a space is at its end, or a control character in it"),
        ("redis://ho st", "a host is missing, or is none"),
        ("redis://host\n", "a space is at its end, or a control character in it"),
        ("redis://", "a host is missing"),
        ("redis://:6379", "a host is missing"),
        ("redis:///0", "a host is missing"),
        ("redis://host:99999", "port 99999 is not one from 1 to 65535"),
        ("redis://host:0", "port 0 is not one from 1 to 65535"),
        ("redis://host:", "the port of a host is not a number"),
        ("redis://host:x", "the port of a host is not a number"),
        ("redis://::1:6379", "an IPv6 address stands in brackets"),
        ("redis://[::x]:6379", "a host is missing, or is none"),
        ("redis://[::1:6379", "a host is missing, or is none"),
        ("redis://[::1]6379", "a host is missing, or is none"),
        ("redis://a,b", "several hosts: write redis+sentinel:// or redis+cluster://"),
        ("redis://host/abc", "database 'abc' is not a number"),
        ("redis://host/1/2", "database '1/2' is not a number"),
        ("redis://host/-1", "database '-1' is not a number"),
        ("redis://host/0#x", "a # is in it"),
        ("redis://host?pasword=x", "parameter 'pasword' is unknown: did you mean password?"),
        ("redis://host?zzz=1", "parameter 'zzz' is unknown: known are username, "),
        ("redis://host?db=", "parameter db has no value"),
        ("redis://host?db=x", "parameter db='x' is not a number"),
        ("redis://host?db=-1", "parameter db='-1' is not a number"),
        ("redis://host?socket_connect_timeout=nan", "is not a number"),
        ("redis://host?db=1&db=2", "a parameter is there twice"),
        ("redis://host?ssl_ca_certs=/ca.pem", "parameter ssl_ca_certs is for TLS, and redis:// has none"),
        ("redis://host?sentinel_password=x", "parameter sentinel_password is for redis+sentinel://"),
        ("redis+sentinel://a,b", "names no service"),
        ("redis+sentinel://a/one/0", "service 'one/0' is not one name"),
        ("redis+sentinel://a:x/forge", "the port of a host is not a number"),
        ("redis+cluster://a,,b", "without empty ones between commas"),
        ("redis+cluster://a/3", "names database 3: a cluster has only database 0"),
        ("redis+cluster://a?db=3", "names database 3: a cluster has only database 0"),
        ("unix://", "the whole path of a socket"),
        ("unix:///", "the whole path of a socket"),
        ("unix:///folder/", "the whole path of a socket"),
        ("unix://valkey.sock", "the whole path of a socket"),
    ],
)
def test_an_address_that_cannot_be_right_says_what_is_wrong(url: str, what: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(url)
    assert what in str(refusal.value)


@pytest.mark.parametrize(
    "scheme", ["redis://{}h:1/0", "rediss://{}h", "redis+sentinel://{}a,b/forge", "redis+cluster://{}a"]
)
@pytest.mark.parametrize(
    "secret", ["hu/sh", "hu?sh", "hu#sh", "hu@sh", "hu%sh", "hu[sh", "hu]sh", "1/2?3", "hu?sh&b=1", "hu\u2100sh"]
)
def test_a_password_that_is_not_encoded_is_told_from_everything_else_and_not_shown(scheme: str, secret: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load({"IRONFORGE_REDIS_URL": scheme.format(f"me:{secret}@")})
    assert "write / as %2F" in str(refusal.value) or "in a password write %23" in str(refusal.value)
    assert "IRONFORGE_REDIS_URL" in str(refusal.value)
    assert not any(part in str(refusal.value) for part in ("hu", "sh", "me:"))


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.sampled_from(SCHEMES))
def test_every_encoded_password_is_accepted_and_every_other_text_is_an_error_of_its_own(
    secret: str, scheme: str
) -> None:
    place = "/run/s" if scheme == "unix" else "h/forge" if "sentinel" in scheme else "h"
    assert scheme.partition("+")[0] == parse(f"{scheme}://:{quote(secret, '')}@{place}").scheme
    with contextlib.suppress(ConfigError):
        parse(f"{scheme}://{secret}")


def test_an_address_says_no_secret_when_it_is_printed() -> None:
    settings = load(
        {"IRONFORGE_REDIS_URL": "redis://me:hush@h", "IRONFORGE_KEY_PEPPER": "hush" * 8, "IRONFORGE_API_KEY": "hush"}
    )
    assert "hush" not in repr(settings)
    assert "hush" not in repr(parse(settings.redis_url))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://me:hush@h", "redis://***@h"),
        ("redis+sentinel://me:hush@a,b/forge", "redis+sentinel://***@a,b/forge"),
        ("redis+sentinel://a/forge?sentinel_password=hush", "redis+sentinel://a/forge?***"),
        ("unix:///s?password=hush", "unix:///s?***"),
        ("unix://me:hush@/s@t", "unix://***@/s@t"),
        ("redis://:hu/sh@h", "***"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


async def test_one_server_is_where_it_says() -> None:
    assert await ServerLocator("unix:///tmp/s", "").find() == "unix:///tmp/s"
