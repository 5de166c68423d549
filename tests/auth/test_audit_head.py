"""The head of an earlier run, kept elsewhere: what a trail cannot show by itself, it does."""

from __future__ import annotations

import msgspec
import pytest
import redis.asyncio as redis

from ironforge.auth.audit import AuditTrail, Head
from ironforge.redis.keys import Keys
from ironforge.settings import Settings
from tests.auth.kit import KEPT, fill


async def anchor_of(trail: AuditTrail) -> Head:
    head = Head.read((await trail.verify()).head)
    assert head is not None
    return head


@pytest.mark.parametrize("more", [0, 1, KEPT - 1])
async def test_a_trail_that_goes_on_from_an_earlier_head_is_whole(trail: AuditTrail, more: int) -> None:
    await fill(trail, 6)
    anchor = await anchor_of(trail)
    await fill(trail, more)

    assert (await trail.verify(anchor)).problems == []


async def put_back(client: redis.Redis, keys: Keys, number: int) -> None:
    """Drop what came after entry `number`, and make it the head: everything fits again."""
    rows = await client.xrange(keys.audit)
    for row_id, _ in rows[number:]:
        await client.xdel(keys.audit, row_id)
    if number:
        await client.set(keys.audit_head, b"%d:" % number + rows[number - 1][1][b"h"])
    else:
        await client.delete(keys.audit, keys.audit_head)


@pytest.mark.parametrize("number", [0, 1, 4, 5])
@pytest.mark.parametrize("more", [0, 1, 9])
async def test_what_was_cut_off_the_end_shows(
    trail: AuditTrail, client: redis.Redis, settings: Settings, number: int, more: int
) -> None:
    """Also once the trail has grown past it again."""
    await fill(trail, 6)
    anchor = await anchor_of(trail)
    await put_back(client, Keys(settings.namespace), number)
    assert (await trail.verify()).problems == []
    await fill(trail, more)
    [problem] = (await trail.verify(anchor)).problems

    assert "when the head that was given was printed" in problem
    assert "entry 6" in problem


async def test_who_appends_notices_that_what_it_wrote_is_gone(
    trail: AuditTrail, client: redis.Redis, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(trail, 7)
    assert "put back" not in caplog.text
    await put_back(client, Keys(settings.namespace), 3)
    await fill(trail, 2)

    told = [record.getMessage() for record in caplog.records if "put back" in record.getMessage()]
    assert len(told) == 1
    assert "7" in told[0]


async def test_a_head_of_another_trail_does_not_fit(trail: AuditTrail, settings: Settings) -> None:
    await fill(trail, 3)
    problems = (await trail.verify(Head(2, "0" * 64))).problems

    assert problems == ["entry 2: is another one than when the head that was given was printed"]


async def test_a_head_that_is_no_longer_kept_proves_nothing(trail: AuditTrail) -> None:
    await fill(trail, 6)
    anchor = await anchor_of(trail)
    await fill(trail, KEPT)
    [problem] = (await trail.verify(anchor)).problems

    assert "no longer kept" in problem


async def test_the_oldest_that_is_kept_cannot_be_changed(
    trail: AuditTrail, client: redis.Redis, settings: Settings
) -> None:
    await fill(trail, KEPT + 6)
    key = Keys(settings.namespace).audit
    rows = await client.xrange(key)
    await client.delete(key)
    for number, (row_id, fields) in enumerate(rows):
        entry = {**msgspec.json.decode(fields[b"e"]), **({"who": "somebody else"} if number == 0 else {})}
        await client.xadd(key, {**fields, b"e": msgspec.json.encode(entry)}, id=row_id)

    assert (await trail.verify()).problems == ["entry 7: was changed, or did not follow the one before it"]


async def test_entries_of_before_still_verify(trail: AuditTrail, client: redis.Redis, settings: Settings) -> None:
    """They do not say what they followed."""
    await fill(trail, KEPT + 3)
    key = Keys(settings.namespace).audit
    rows = await client.xrange(key)
    await client.delete(key)
    for row_id, fields in rows:
        await client.xadd(key, {name: fields[name] for name in (b"e", b"h")}, id=row_id)
    await fill(trail, 2)

    assert (await trail.verify()).problems == []


@pytest.mark.parametrize("text", ["", "6", "6:", ":" + "0" * 64, "0:" + "0" * 64, "x:" + "0" * 64, "6:" + "0" * 65])
def test_what_is_no_head(text: str) -> None:
    assert Head.read(text) is None


def test_a_head_is_read_as_it_was_printed() -> None:
    head = Head(6, "a" * 64)
    assert Head.read(str(head)) == head
