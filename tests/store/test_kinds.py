"""What nodes announce of their kinds: definitions stay, that a node runs a kind ends with its lease."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from ironforge.job.definition import Announcement
from ironforge.job.options import KindOptions
from ironforge.store import kinds
from ironforge.store.kinds import Kind, Kinds
from tests.store.kit import Cluster, Node

DAY_MS = 86_400_000


def announced(*names: str, version: str = "", schema: Any = None, **defaults: Any) -> list[Announcement]:
    return [Announcement.of(name, version, KindOptions(**defaults), schema) for name in names]


async def look(cluster: Cluster) -> Kinds:
    return await cluster.store_client.inspector.kinds()


async def kind(cluster: Cluster, name: str = "mail") -> Kind:
    return (await look(cluster)).known[name]


def versions(found: Kind) -> list[str]:
    return [version.definition.version for version in found.versions]


def age(cluster: Cluster, name: str, ms: int) -> None:
    """The kind was announced, and seen, this much earlier."""
    rows = json.loads(cluster.raw.hget(cluster.keys.kinds, name))
    aged = [[digest, at - ms, seen - ms, definition] for digest, at, seen, definition in rows]
    cluster.raw.hset(cluster.keys.kinds, mapping={name: json.dumps(aged), "": f"aged {ms}"})


async def test_without_nodes_no_kind_is_known(cluster: Cluster) -> None:
    found = await look(cluster)
    assert (found.known, found.nodes) == ({}, {})


async def test_a_node_announces_what_it_runs_when_it_joins(cluster: Cluster) -> None:
    cluster.with_settings(app_version="7", queues=("mails",))
    node = await cluster.node(announced("mail", version="7", queue="mails", priority="high", schema={"type": "object"}))
    found = await kind(cluster)
    assert found.definition.defaults == {"queue": "mails", "priority": "high"}
    assert found.definition.schema == {"type": "object"}
    assert found.defaults.record.stream == "mails:1"
    assert found.nodes == [node.lease.node]
    assert (await look(cluster)).nodes[node.lease.node].app_version == "7"


async def test_the_list_of_nodes_says_what_each_runs(cluster: Cluster) -> None:
    cluster.with_settings(app_version="7")
    await cluster.node(announced("mail", "call"))
    (view,) = await cluster.store_client.inspector.nodes()
    assert (view.kinds, view.app_version) == (["call", "mail"], "7")


async def test_who_leaves_runs_nothing_any_more_and_its_definitions_stay(cluster: Cluster) -> None:
    node = await cluster.node(announced("mail"))
    await node.leases.leave(node.lease)
    found = await look(cluster)
    assert found.known["mail"].nodes == []
    assert cluster.raw.hlen(cluster.keys.announced) == 0


async def test_a_node_runs_nothing_from_the_moment_when_its_lease_ends(cluster: Cluster) -> None:
    node = await cluster.node(announced("mail"))
    cluster.lapse(node)
    found = await look(cluster)
    assert (found.known["mail"].nodes, found.nodes, found.is_run("mail")) == ([], {}, False)


async def test_a_node_that_was_taken_over_has_withdrawn_what_it_announced(cluster: Cluster) -> None:
    dead, heir = await cluster.node(announced("mail")), await cluster.node(announced("mail"))
    cluster.lapse(dead)
    await heir.leases.take_over(heir.lease, dead.lease.node)
    assert cluster.raw.hkeys(cluster.keys.announced) == [heir.lease.node.encode()]
    assert (await kind(cluster)).nodes == [heir.lease.node]


async def test_of_two_definitions_the_one_first_announced_last_counts_and_both_are_live(cluster: Cluster) -> None:
    old = await cluster.node(announced("mail", version="1", queue="old"))
    new = await cluster.node(announced("mail", version="2", queue="new"))
    found = await kind(cluster)
    assert (versions(found), found.queue) == (["2", "1"], "new")
    assert [version.nodes for version in found.live] == [[new.lease.node], [old.lease.node]]


async def test_a_node_that_joins_again_announces_nothing_newer(cluster: Cluster) -> None:
    old = await cluster.node(announced("mail", version="1"))
    await cluster.node(announced("mail", version="2"))
    before = (await kind(cluster)).versions
    cluster.lapse(old)
    again = await old.leases.join()
    found = await kind(cluster)
    assert versions(found) == ["2", "1"]
    assert [each.announced_ms for each in found.versions] == [each.announced_ms for each in before]
    assert found.versions[1].nodes == [again.node]


async def test_a_node_that_joins_again_brings_back_what_was_lost_meanwhile(cluster: Cluster) -> None:
    old = await cluster.node(announced("mail", "call", version="1"))
    cluster.raw.hdel(cluster.keys.kinds, "mail")
    await cluster.node(announced("call", version="2"))
    await old.leases.join()
    assert versions(await kind(cluster)) == ["1"]


async def test_a_restart_with_the_same_definition_notes_alone_that_it_was_seen(cluster: Cluster) -> None:
    node = await cluster.node(announced("mail"))
    await node.leases.leave(node.lease)
    age(cluster, "mail", DAY_MS)
    (before,) = (await kind(cluster)).versions
    await cluster.node(announced("mail"))
    (after,) = (await kind(cluster)).versions
    assert (after.digest, after.announced_ms) == (before.digest, before.announced_ms)
    assert after.seen_ms > before.seen_ms


async def test_readings_at_the_same_time_all_know_what_was_announced_before_them(cluster: Cluster) -> None:
    for version in ("1", "2"):
        await cluster.node(announced("mail", version=version))
        found = await asyncio.gather(*(kind(cluster) for _ in range(5)))
        assert {versions(each)[0] for each in found} == {version}


async def test_the_newest_versions_of_a_kind_are_kept(cluster: Cluster) -> None:
    for number in range(kinds.VERSIONS_KEPT + 2):
        await cluster.node(announced("mail", version=str(number)))
    newest = range(kinds.VERSIONS_KEPT + 1, 1, -1)
    assert versions(await kind(cluster)) == [str(number) for number in newest]


async def test_what_nodes_run_is_kept_however_many_newer_versions_were_tried(cluster: Cluster) -> None:
    old = await cluster.node(announced("mail", version="old"))
    for number in range(kinds.VERSIONS_KEPT + 1):
        tried = await cluster.node(announced("mail", version=str(number)))
        await tried.leases.leave(tried.lease)
    found = await kind(cluster)
    assert (versions(found)[0], len(found.versions)) == ("old", kinds.VERSIONS_KEPT)
    assert found.nodes == [old.lease.node]


async def test_a_thousand_kinds_are_announced_in_one_call(cluster: Cluster) -> None:
    names = [f"kind.{number}" for number in range(1_000)]
    cluster.raw.config_resetstat()
    await cluster.node(announced(*names))
    calls = cluster.raw.info("commandstats")
    assert len((await look(cluster)).known) == 1_000
    assert calls["cmdstat_hset"]["calls"] == 1_000 + 3  # and roster, announced, revision
    assert sum(stat["calls"] for name, stat in calls.items() if name.startswith("cmdstat_eval")) <= 3


async def test_a_namespace_keeps_so_many_kinds_and_what_has_no_room_is_run_all_the_same(cluster: Cluster) -> None:
    cluster.raw.hset(cluster.keys.kinds, mapping={f"old.{number}": "[]" for number in range(kinds.KINDS_KEPT - 1)})
    await cluster.node(announced("a", "b"))
    found = await look(cluster)
    assert sorted(found.known) == ["a"]
    assert found.is_run("b")


@pytest.mark.parametrize(("days", "stays"), [(29, True), (31, False)])
async def test_a_definition_stays_for_30_days_after_the_last_node_that_ran_it(
    cluster: Cluster, days: int, stays: bool
) -> None:
    gone = await cluster.node(announced("mail"))
    await gone.leases.leave(gone.lease)
    age(cluster, "mail", days * DAY_MS)
    assert ("mail" in (await look(cluster)).known) == stays
    node = await cluster.node(announced("call"))
    await node.work.expire()
    assert cluster.raw.hexists(cluster.keys.kinds, "mail") == stays


async def test_a_definition_that_is_run_stays_however_old_it_is(cluster: Cluster) -> None:
    node = await cluster.node(announced("mail"))
    age(cluster, "mail", 31 * DAY_MS)
    await node.work.expire()
    await node.leases.leave(node.lease)
    assert "mail" in (await look(cluster)).known


async def test_a_door_hears_that_a_definition_was_seen(cluster: Cluster) -> None:
    node = await cluster.node(announced("mail"))
    age(cluster, "mail", DAY_MS)
    (before,) = (await kind(cluster)).versions
    await node.work.expire()
    (after,) = (await kind(cluster)).versions
    assert after.seen_ms > before.seen_ms


async def test_old_versions_of_a_kind_go_alone(cluster: Cluster) -> None:
    gone = await cluster.node(announced("mail", version="1"))
    await gone.leases.leave(gone.lease)
    age(cluster, "mail", 31 * DAY_MS)
    node = await cluster.node(announced("mail", version="2"))
    await node.work.expire()
    assert versions(await kind(cluster)) == ["2"]


async def test_what_nodes_announced_that_have_no_lease_is_cleared_away(cluster: Cluster) -> None:
    node = await cluster.node(announced("mail"))
    cluster.raw.hset(cluster.keys.announced, mapping={"stray": '{"mail":"x"}', "broken": b"\xff"})
    await node.work.expire()
    assert cluster.raw.hkeys(cluster.keys.announced) == [node.lease.node.encode()]


@pytest.mark.parametrize("stored", [b"", b"\xff", b"[]", b"[1]", b"[[]]", b'[["d",1,1,"no JSON"]]', b'{"a":1}'])
async def test_what_is_no_definition_is_passed_over_and_written_over(cluster: Cluster, stored: bytes) -> None:
    cluster.raw.hset(cluster.keys.kinds, "mail", stored)
    await look(cluster)
    node = await cluster.node(announced("mail", version="1"))
    await node.work.expire()
    assert versions(await kind(cluster))[0] == "1"


async def test_an_older_node_says_nothing_and_may_run_any_kind(cluster: Cluster) -> None:
    await cluster.node()
    found = await look(cluster)
    assert (found.known, found.is_run("mail")) == ({}, True)


async def serving(cluster: Cluster, queue: str, name: str | None = None) -> Sequence[str]:
    return [*(await look(cluster)).serving(queue, name)]


async def test_a_kind_that_fixes_no_queue_is_seen_wherever_nodes_run_it(cluster: Cluster) -> None:
    cluster.with_settings(queues=("mails", "calls"))
    node = await cluster.node([*announced("free"), *announced("bound", queue="calls")])
    assert sorted((await look(cluster)).within(frozenset({"mails"})).known) == ["free"]
    await node.leases.leave(node.lease)
    assert sorted((await look(cluster)).within(frozenset({"mails"})).known) == []


async def serving_node(cluster: Cluster, *queues: str) -> Node:
    cluster.with_settings(queues=queues)
    return await cluster.node(announced("mail", queue=queues[0]))


async def test_a_job_is_served_by_nodes_that_serve_its_queue_and_run_its_kind(cluster: Cluster) -> None:
    node = await serving_node(cluster, "mails")
    assert await serving(cluster, "mails", "mail") == [node.lease.node]
    assert await serving(cluster, "mails") == [node.lease.node]
    assert await serving(cluster, "mails", "call") == []
    assert await serving(cluster, "calls", "mail") == []


async def test_within_some_queues_others_nodes_and_kinds_are_not_seen(cluster: Cluster) -> None:
    calls, mails = await serving_node(cluster, "calls"), await serving_node(cluster, "mails")
    found = (await look(cluster)).within(frozenset({"mails"}))
    assert [*found.nodes] == [mails.lease.node]
    assert found.known["mail"].nodes == [mails.lease.node]
    await mails.leases.leave(mails.lease)
    await calls.leases.leave(calls.lease)
    assert [*(await look(cluster)).within(frozenset({"mails"})).known] == ["mail"]
    assert [*(await look(cluster)).within(frozenset({"calls"})).known] == []


@pytest.mark.parametrize("shards", [3])
async def test_with_several_shards_the_first_one_knows_the_kinds(cluster: Cluster, shards: int) -> None:
    cluster.with_settings(shards=shards)
    node = await cluster.node(announced("mail"))
    assert (await kind(cluster)).nodes == [node.lease.node]
    assert len(cluster.raw.keys(f"if:{{{cluster.settings.namespace}.*kinds")) == 1
    (view,) = await cluster.store_client.inspector.nodes()
    assert view.kinds == ["mail"]
    await node.leases.leave(node.lease)
    assert (await kind(cluster)).nodes == []


async def test_a_node_of_two_namespaces_announces_its_kinds_in_both(cluster: Cluster) -> None:
    own = cluster.settings.namespace
    cluster.with_settings(namespaces=(own, f"{own}-b"))
    node = await cluster.node(announced("mail"))
    for namespace in (own, f"{own}-b"):
        cluster.with_settings(namespace=namespace)
        found = await cluster.open_doors().inspector.kinds()
        assert found.known["mail"].nodes == [node.lease.node]
    cluster.with_settings(namespace=own)
