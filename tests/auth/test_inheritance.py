"""Keys that keys make: never more than their maker, charged to it, and gone with it."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.auth.caller import SCOPES, Account, Caller
from ironforge.auth.inheritance import GENERATIONS, Terms, inherit, makers_of
from ironforge.auth.quota import NAMES, NO_QUOTA, Quota, check
from ironforge.errors import ConfigError, Forbidden
from tests.auth.conftest import Build
from tests.auth.kit import House, listed, make
from tests.auth.test_quotas import NEVER, submit
from tests.auth.test_tokens import token, trusting

NOW_MS = 1_800_000_000_000


# --------------------------------------------------------------------------- the terms

quotas = st.builds(
    Quota,
    submissions_per_second=st.none() | st.floats(0.001, 100),
    burst=st.none() | st.integers(1, 100),
    **{name: st.none() | st.integers(1, 100) for name in ("stored_jobs", "stored_bytes", "in_flight")},
    delay_seconds=st.none() | st.floats(1, 100),
)
queues = st.none() | st.frozensets(st.sampled_from("abc"), min_size=1)
scopes = st.frozensets(st.sampled_from(SCOPES), min_size=1)
times = st.just(0) | st.integers(NOW_MS + 1, NOW_MS + 1_000)


@given(scopes, queues, quotas, times, scopes, queues, quotas, times)
def test_a_child_never_exceeds_its_maker(  # noqa: PLR0917
    held: frozenset[str],
    held_queues: frozenset[str] | None,
    held_quota: Quota,
    until_ms: int,
    wanted: frozenset[str],
    wanted_queues: frozenset[str] | None,
    wanted_quota: Quota,
    wanted_ms: int,
) -> None:
    maker = Caller("n", held, "x", held_queues, "b", held_quota, until_ms)
    asked = Terms(list(wanted), None if wanted_queues is None else list(wanted_queues), wanted_ms, wanted_quota)
    try:
        check(held_quota)
        check(wanted_quota)
        given_terms = inherit(maker, asked, NOW_MS)
    except (Forbidden, ConfigError):
        return

    assert held.issuperset(given_terms.scopes)
    assert maker.sees(given_terms.queues)
    assert not until_ms or 0 < given_terms.expires_ms <= until_ms
    for name in NAMES:
        limit = held_quota.limit(name)
        assert limit is None or (given_terms.quota.limit(name) or 1e300) <= limit


@given(scopes, queues, quotas, times)
def test_what_is_left_out_is_inherited(
    held: frozenset[str], held_queues: frozenset[str] | None, quota: Quota, until_ms: int
) -> None:
    maker = Caller("n", held, "x", held_queues, "b", quota, until_ms)
    terms = inherit(maker, Terms(list(held), None, 0, NO_QUOTA), NOW_MS)

    assert terms.quota == quota
    assert terms.expires_ms == until_ms
    assert (None if terms.queues is None else frozenset(terms.queues)) == held_queues


# --------------------------------------------------------------------------- over HTTP


async def test_a_key_of_a_held_and_mortal_key_is_held_and_mortal_too(house: House) -> None:
    quota = Quota(submissions_per_second=1, burst=2, in_flight=5)
    maker = await house.key(["keys:admin", "jobs:submit"], quota=quota, expires_seconds=60, queues=["ours"])
    child = await make(house, maker)
    grandchild = await make(house, child.body["key"], quota={"in_flight": 3}, expires_seconds=5)
    keys = await listed(house)

    until = keys[maker.split("_")[1]]["expires_at"]
    shown = keys[child.body["id"]]
    assert shown["expires_at"] == until
    assert shown["queues"] == ["ours"]
    assert shown["quota"] == {"submissions_per_second": 1.0, "burst": 2, "in_flight": 5}
    assert child.body["expires_at"] == until
    assert child.body["queues"] == ["ours"]
    assert child.body["quota"] == shown["quota"]
    shown = keys[grandchild.body["id"]]
    assert shown["quota"] == {"submissions_per_second": 1.0, "burst": 2, "in_flight": 3}
    assert shown["expires_at"] < until
    assert f"key:{child.body['id']}(" in shown["made_by"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"quota": {"submissions_per_second": 1.5}}, "quota_not_held"),
        ({"quota": {"burst": 3}}, "quota_not_held"),
        ({"quota": {"submissions_per_second": 0.5, "burst": 3}}, "quota_not_held"),
        ({"quota": {"in_flight": 6}}, "quota_not_held"),
        ({"quota": {"stored_jobs": 1, "delay_seconds": 11}}, "quota_not_held"),
        ({"expires_seconds": 3600}, "expiry_not_held"),
        ({"queues": ["ours", "theirs"]}, "queue_not_allowed"),
        ({"scopes": ["jobs:read"]}, "scope_not_held"),
    ],
)
async def test_more_than_the_maker_has_is_refused(house: House, fields: dict[str, Any], code: str) -> None:
    quota = Quota(submissions_per_second=1, burst=2, in_flight=5, delay_seconds=10)
    maker = await house.key(["keys:admin", "jobs:submit"], quota=quota, expires_seconds=60, queues=["ours"])
    answer = await make(house, maker, **fields)

    assert answer.status == 403
    assert answer.code == code
    assert len(await house.api_keys.listed(house.namespace)) == 1


async def test_a_rate_without_a_burst_bounds_the_burst(house: House) -> None:
    maker = await house.key(quota=Quota(submissions_per_second=10))
    assert (await make(house, maker, quota={"burst": 11})).code == "quota_not_held"
    assert (await make(house, maker, quota={"burst": 10})).status == 201


async def test_ten_keys_share_what_their_maker_has(house: House) -> None:
    maker = await house.key(quota=Quota(submissions_per_second=NEVER, burst=3))
    children = [(await make(house, maker)).body["key"] for _ in range(3)]
    children.append((await make(house, children[0])).body["key"])
    answers = [await submit(house, key) for key in (*children, maker)]

    assert [answer.status for answer in answers] == [201, 201, 201, 429, 429]
    assert answers[3].body["quota"] == "maker.submissions_per_second"
    assert answers[4].body["quota"] == "key.submissions_per_second"


async def test_also_once_the_maker_is_gone(house: House) -> None:
    maker = await house.key(quota=Quota(submissions_per_second=NEVER, burst=3))
    first, second = [(await make(house, maker)).body["key"] for _ in range(2)]
    await house.call("DELETE", f"/keys/{maker.split('_')[1]}?children=keep", await house.key())
    statuses = [(await submit(house, key)).status for key in (first, second, first, second)]

    assert statuses == [201, 201, 201, 429]


async def test_a_key_of_a_token_ends_with_the_token(settings: Any, build: Build, tmp_path: Path) -> None:
    trusting(tmp_path)
    house = await build(msgspec.structs.replace(settings, jwt_issuers=str(tmp_path / "issuers.toml")))
    until = int(time.time()) + 50
    scope = "keys:admin jobs:submit"
    maker = token(ironforge_namespace=house.namespace, scope=scope, exp=until, ironforge_queues=["ours"])
    child = await make(house, maker)
    shown = (await listed(house))[child.body["id"]]

    assert datetime.fromisoformat(shown["expires_at"]).timestamp() == until
    assert shown["queues"] == ["ours"]
    assert (await make(house, maker, expires_seconds=51)).code == "expiry_not_held"
    assert (await make(house, maker, expires_seconds=1)).status == 201
    late = token(ironforge_namespace=house.namespace, scope=scope, exp=int(time.time()) - 5)
    assert (await make(house, late, expires_seconds=1)).code == "expiry_not_held"


async def test_generations_end(house: House) -> None:
    maker = await house.key()
    for _ in range(GENERATIONS - 1):
        maker = (await make(house, maker)).body["key"]
    answer = await make(house, maker)

    assert answer.status == 403
    assert answer.code == "too_many_generations"


def test_who_is_charged_is_every_key_above() -> None:
    above = (Account("b", Quota(in_flight=1)), Account("a", NO_QUOTA))
    assert makers_of(Caller("n", frozenset(), "x", bucket="c", makers=above)) == (Account("c", NO_QUOTA), *above)
    assert makers_of(Caller("n", frozenset(), "jwt:x")) == ()
