"""The server as IronForge needs it: refused at start with the command that fixes it, and shown in /health."""

from __future__ import annotations

import pytest

from ironforge.errors import ConfigError
from ironforge.store import server_checks
from tests.store.kit import Cluster


async def ask_nothing(*_: object) -> list[object]:
    return []


async def test_a_fresh_server_is_fine_for_relaxed(cluster: Cluster) -> None:
    await server_checks.verify(cluster.settings)


@pytest.mark.parametrize(
    ("durability", "setting", "value", "found"),
    [
        ("local", "appendonly", "no", "none"),
        ("local", "appendfsync", "everysec", "relaxed"),
        ("local", "appendfsync", "always", "local"),
        ("relaxed", "appendonly", "yes", "relaxed"),
        ("relaxed", "appendonly", "no", "none"),
    ],
)
async def test_durability_is_what_the_server_really_does(
    cluster: Cluster, durability: str, setting: str, value: str, found: str
) -> None:
    cluster.with_settings(durability=durability)
    cluster.raw.config_set("appendonly", "yes")
    before = cluster.raw.config_get(setting)[setting]
    try:
        cluster.raw.config_set(setting, value)
        health = await cluster.store_client.inspector.health()
        refused = durability == "local" and found != "local"
        assert health.durability == found
        assert (found == "none" or refused) == bool(health.problems)
        if refused:
            with pytest.raises(ConfigError, match=rf"IRONFORGE_DURABILITY=local needs .*({setting}|AOF)"):
                await server_checks.verify(cluster.settings)
        else:
            await server_checks.verify(cluster.settings)
    finally:
        cluster.raw.config_set(setting, before)
        cluster.raw.config_set("appendonly", "no")


async def test_a_server_that_evicts_is_refused(cluster: Cluster) -> None:
    try:
        cluster.raw.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(ConfigError, match="CONFIG SET maxmemory-policy noeviction"):
            await server_checks.verify(cluster.settings)
    finally:
        cluster.raw.config_set("maxmemory-policy", "noeviction")


async def test_replicated_needs_its_replicas(cluster: Cluster) -> None:
    cluster.with_settings(durability="replicated", replicas=2)
    with pytest.raises(ConfigError, match="needs 2 connected"):
        await server_checks.verify(cluster.settings)


async def test_a_replica_is_refused_with_the_address_of_its_primary(cluster: Cluster) -> None:
    try:
        cluster.raw.replicaof("127.0.0.1", 1)
        with pytest.raises(ConfigError, match=r"read-only replica of 127\.0\.0\.1:1"):
            await server_checks.verify(cluster.settings)
    finally:
        cluster.raw.replicaof("NO", "ONE")


async def test_memory_that_runs_short_is_a_problem(cluster: Cluster) -> None:
    try:
        cluster.raw.config_set("maxmemory", 1)
        health = await cluster.store_client.inspector.health()
    finally:
        cluster.raw.config_set("maxmemory", 0)
    assert 1 == health.max_memory < health.used_memory
    assert any("maxmemory" in problem for problem in health.problems)


async def test_where_config_is_forbidden_info_tells_what_it_can(cluster: Cluster) -> None:
    cluster.raw.acl_setuser(
        "modest", enabled=True, passwords=["+secret"], categories=["+@all"], keys=["*"], commands=["-config"]
    )
    modest = _with_login(cluster, "modest", "secret")
    try:
        cluster.with_settings(redis_url=modest)
        await server_checks.verify(cluster.settings)
        assert (await cluster.store_client.inspector.health()).durability == "none"
    finally:
        cluster.raw.acl_deluser("modest")


async def test_a_wrong_password_is_one_line_without_the_password(cluster: Cluster) -> None:
    cluster.with_settings(redis_url=_with_login(cluster, "nobody", "hush-hush"))
    with pytest.raises(ConfigError, match="check user and password") as caught:
        await server_checks.verify(cluster.settings)
    assert "hush-hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://:hush-hush@127.0.0.1:1/0", "redis://127.0.0.1:1", "unix:///nowhere"])
async def test_a_server_that_is_not_there_is_one_line(cluster: Cluster, url: str) -> None:
    cluster.with_settings(redis_url=url)
    with pytest.raises(ConfigError, match="cannot talk to the server") as caught:
        await server_checks.verify(cluster.settings)
    assert "IRONFORGE_REDIS_URL=" in str(caught.value)
    assert "hush-hush" not in str(caught.value)


async def test_an_old_server_is_refused(cluster: Cluster) -> None:
    async def old(*_: object) -> list[object]:
        return [
            b"redis_version:6.2.14\r\nrole:master\r\nmaxmemory_policy:noeviction\r\nmaxmemory:0\r\nused_memory:1\r\n"
        ]

    health = await server_checks.health_of(cluster.settings, old)
    assert "too old" in health.problems[0]


def _with_login(cluster: Cluster, user: str, password: str) -> str:
    scheme, _, rest = cluster.url.partition("://")
    return f"{scheme}://{user}:{password}@{rest}"
