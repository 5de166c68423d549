"""What a door knows of kinds while the server is away, or holds something else in their place."""

from __future__ import annotations

import pytest

from ironforge.errors import StoreUnavailable
from ironforge.job.definition import Announcement
from ironforge.job.options import KindOptions
from ironforge.store.kind_catalog import KindCatalog
from tests.store.kit import Cluster


def catalog(cluster: Cluster, **settings: str) -> KindCatalog:
    settings_now = cluster.with_settings(**settings)
    return KindCatalog(cluster.store_client.inspector, settings_now)


def queue(found: KindCatalog, kind: str = "mail") -> str | None:
    known = found.look_up(kind)
    return None if known is None else known.queue


async def announce(cluster: Cluster, where: str) -> None:
    await cluster.node([Announcement.of("mail", "", KindOptions(queue=where), None)])


async def test_what_was_known_stays_in_use_while_it_cannot_be_read(cluster: Cluster) -> None:
    await announce(cluster, "mails")
    found = catalog(cluster)
    await found.refresh()
    kept = cluster.raw.dump(cluster.keys.kinds)
    cluster.raw.set(cluster.keys.kinds, "stray")
    await found.refresh()
    assert queue(found) == "mails"
    cluster.raw.restore(cluster.keys.kinds, 0, kept, replace=True)
    await announce(cluster, "new")
    await found.refresh()
    assert queue(found) == "new"


async def test_nothing_is_refused_for_good_while_the_kinds_could_not_be_read_yet(cluster: Cluster) -> None:
    await announce(cluster, "mails")
    kept = cluster.raw.dump(cluster.keys.kinds)
    cluster.raw.set(cluster.keys.kinds, "stray")
    found = catalog(cluster, unknown_kinds="refuse")
    await found.refresh()
    with pytest.raises(StoreUnavailable, match="could not be read yet"):
        found.look_up("mail")
    cluster.raw.restore(cluster.keys.kinds, 0, kept, replace=True)
    await found.refresh()
    assert queue(found) == "mails"


async def test_a_door_in_the_foreground_reads_once_a_second(cluster: Cluster) -> None:
    found = catalog(cluster)
    await found.refresh_if_due()
    await announce(cluster, "mails")
    await found.refresh_if_due()
    assert queue(found) is None
    await found.refresh()
    assert queue(found) == "mails"


async def test_a_kind_that_a_node_runs_is_known_though_there_was_no_room_for_its_definition(cluster: Cluster) -> None:
    await announce(cluster, "mails")
    cluster.raw.hdel(cluster.keys.kinds, "mail")
    found = catalog(cluster, unknown_kinds="refuse")
    await found.refresh()
    assert queue(found) is None
