"""The address of the store: what it may look like, and what of it nobody gets to see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import ConfigError
from ironforge.server_url import parse, without_password
from ironforge.store.address import Address

HOSTS = st.lists(
    st.tuples(st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5})?", fullmatch=True), st.integers(1, 65_535)),
    min_size=1,
    max_size=4,
)


@given(HOSTS)
def test_the_hosts_of_a_cluster_are_found_again(hosts: list[tuple[str, int]]) -> None:
    url = "redis+cluster://" + ",".join(f"{host}:{port}" for host, port in hosts)
    assert hosts == parse(url).hosts


def test_a_login_and_parameters_are_for_the_server_and_those_of_the_sentinels_for_them() -> None:
    url = parse("rediss+sentinel://me:pa%40ss@one,[::1]:27000/forge?sentinel_password=hush&ssl_ca_certs=/ca.pem")
    assert [("one", 26_379), ("::1", 27_000)] == url.hosts
    assert {"password": "hush"} == url.asking
    assert "rediss://me:pa%40ss@10.0.0.1:6379?ssl_ca_certs=%2Fca.pem" == url.server("10.0.0.1", 6_379)
    assert "rediss://me:pa%40ss@[fe80::1]:6379?ssl_ca_certs=%2Fca.pem" == url.server("fe80::1", 6_379)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://x", "scheme 'http' is not one of redis://"),
        ("redis+sentinel://a,b", "names no service"),
        ("redis+sentinel://a:x/forge", "'a:x' is not host or host:port"),
        ("redis+cluster://a,,b", "'' is not host or host:port"),
        ("redis+cluster://a/3", "names database 3: a cluster has only database 0"),
        ("unix+cluster:///x", "scheme 'unix+cluster' is not one of"),
    ],
)
def test_an_address_that_cannot_be_right_says_what_is_wrong(url: str, what: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(url)
    assert what in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://me:hush@h", "redis://***@h"),
        ("redis+sentinel://me:hush@a,b/forge", "redis+sentinel://***@a,b/forge"),
        ("redis+sentinel://a/forge?sentinel_password=hush", "redis+sentinel://a/forge?***"),
        ("unix:///s?password=hush", "unix:///s?***"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert shown == without_password(url)


async def test_one_server_is_where_it_says() -> None:
    assert "unix:///tmp/s" == await Address("unix:///tmp/s", "").find()
