"""Limits over HTTP: defined, overridden, looked at, refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ironforge.job.limits import LimitUse, Rate
from ironforge.job.options import JobOptions
from ironforge.job.record import Job, decode, format_id, parse_id
from ironforge.settings import Settings
from ironforge.store import StoreClient, Submission

LIMIT = {"concurrency": 2, "rate": {"units": 100, "per_seconds": 2.0, "burst": 20}}


@pytest.fixture
async def store_client(settings: Settings) -> AsyncIterator[StoreClient]:
    client = StoreClient(settings)
    yield client
    await client.close()


async def put(api: Any, name: str = "stripe", **limit: Any) -> Any:
    return await api.call("PUT", f"/limits/{name}", json=limit)


def limited(job: Job, key: str) -> Job:
    return msgspec.structs.replace(job, version=2, limits=(LimitUse("stripe", key),))


async def test_a_limit_is_there_as_it_was_defined_however_often(api: Any) -> None:
    for _ in range(2):
        answer = await put(api, **LIMIT)
        assert answer.status == 200
        assert answer.body == {"name": "stripe", "limit": LIMIT, "override": None, "effective": LIMIT}
    assert (await api.call("GET", "/limits/stripe")).body == {**answer.body, "key": None}
    assert (await api.call("GET", "/limits")).body == {"limits": [answer.body]}


async def test_an_override_holds_until_it_is_taken_back_and_a_new_definition_does_not_end_it(api: Any) -> None:
    await put(api, concurrency=2)
    said = {"override": {"concurrency": 1}, "until": "2040-01-31T12:00:00Z", "note": "their database is slow"}
    answer = await api.call("PATCH", "/limits/stripe", json=said)
    assert answer.status == 200
    assert answer.body["override"] == {
        "concurrency": 1,
        "rate": None,
        "until": "2040-01-31T12:00:00.000Z",
        "note": "their database is slow",
    }
    anew = await put(api, concurrency=5)
    assert anew.body["effective"] == {"concurrency": 1}
    assert anew.body["limit"] == {"concurrency": 5}
    back = await api.call("PATCH", "/limits/stripe", json={"override": None})
    assert back.body["override"] is None
    assert back.body["effective"] == {"concurrency": 5}


async def test_a_key_says_who_runs_and_waits(api: Any, node: Any, store_client: StoreClient) -> None:
    await put(api, concurrency=1)
    made = [JobOptions().checked().job("demo.echo", b"1") for _ in range(2)]
    await store_client.producer.submit([Submission(limited(job, "acct_42")) for job in made])
    running = await node.take()
    stands = (await api.call("GET", "/limits/stripe?key=acct_42")).body["key"]

    assert (stands["running"], stands["waiting"], stands["remaining"]) == (1, 1, 0)
    assert [parse_id(holder["id"]) for holder in stands["holders"]] == [decode(running[2]).id]
    empty = (await api.call("GET", "/limits/stripe?key=")).body["key"]
    assert (empty["key"], empty["running"], empty["holders"]) == ("", 0, [])


async def test_a_key_and_its_jobs_say_that_its_target_throttles(node: Any, api: Any, store_client: StoreClient) -> None:
    await put(api, concurrency=2)
    job = limited(JobOptions().checked().job("demo.echo", b"1"), "acct_42")
    await node.throttle("stripe\nacct_42", 60_000)
    await store_client.producer.submit([Submission(job)])
    stands = (await api.call("GET", "/limits/stripe?key=acct_42")).body["key"]
    waiting = (await api.call("GET", f"/jobs/{job.text_id}")).body["waiting_for"]

    assert (stands["remaining"], stands["probing"]) == (0, False)
    assert waiting["until"] == stands["stopped_until"] == stands["next_at"]
    assert waiting["detail"] == (
        "limit stripe lets none of key acct_42 start: a handler said that its target throttles"
    )


async def test_a_limited_job_that_no_node_takes_says_that_first(api: Any, store_client: StoreClient) -> None:
    await put(api, concurrency=1)
    job = limited(JobOptions(queue="nobody").checked().job("demo.echo", b"1"), "acct_42")
    await store_client.producer.submit([Submission(job)])
    waiting = (await api.call("GET", f"/jobs/{job.text_id}")).body["waiting_for"]
    assert waiting["code"] == "no_node_for_queue"


async def test_a_deleted_limit_is_not_there(api: Any) -> None:
    await put(api, concurrency=1)
    gone = await api.call("DELETE", "/limits/stripe")
    assert gone.body == {"name": "stripe", "deleted": True}
    for method, path, body in (
        ("GET", "", None),
        ("GET", "?key=a", None),
        ("DELETE", "", None),
        ("POST", "/resume?key=a", None),
        ("PATCH", "", {"override": {"concurrency": 1}}),
    ):
        answer = await api.call(method, "/limits/stripe" + path, json=body)
        assert (answer.status, answer.code, answer.body["hint"]) == (404, "limit_not_found", "define it first")


async def test_a_key_that_nothing_holds_up_goes_on(api: Any) -> None:
    await put(api, concurrency=1, order="fifo", on_failure="park")
    answer = await api.call("POST", "/limits/stripe/resume?key=acct_42")
    assert answer.status == 200
    assert answer.body == {"name": "stripe", "key": "acct_42", "released": 0}


@pytest.mark.parametrize(
    ("limit", "code", "field"),
    [
        ({}, "invalid_limit", "concurrency"),
        ({"concurrency": 0}, "out_of_range", "concurrency"),
        ({"concurrency": 1_000_001}, "out_of_range", "concurrency"),
        ({"concurrency": "1"}, "invalid_type", "concurrency"),
        ({"rate": {"units": 0}}, "out_of_range", "rate.units"),
        *(({"rate": {"units": units}}, "out_of_range", "rate.units") for units in (-1, 10**12)),
        *(
            ({"rate": {"units": 1, "per_seconds": seconds}}, "out_of_range", "rate.per_seconds")
            for seconds in (0, -1, 1e-300, 1e300)
        ),
        ({"rate": {"units": 1, "burst": -1}}, "out_of_range", "rate.burst"),
        ({"rate": {"units": "1"}}, "invalid_type", "rate.units"),
        ({"rate": {}}, "missing_field", "rate.units"),
        ({"rate": 5}, "invalid_type", "rate"),
        ({"rate": None}, "invalid_limit", "concurrency"),
        ({"concurency": 1}, "unknown_field", "concurency"),
        ({"concurrency": True}, "invalid_type", "concurrency"),
        ({"concurrency": 1.5}, "invalid_type", "concurrency"),
        ({"rate": {"units": 1}, "order": "fifo"}, "invalid_limit", "order"),
        ({"rate": {"units": 1, "per": 1}}, "unknown_field", "rate.per"),
        ({"concurrency": 2, "order": "fifo"}, "invalid_limit", "order"),
        ({"concurrency": 1, "order": "lifo"}, "invalid_type", "order"),
        ({"concurrency": 1, "on_failure": "skip"}, "invalid_limit", "on_failure"),
        ({"rate": {"units": 1}, "when_full": "cancel_oldest"}, "invalid_limit", "when_full"),
        ({"concurrency": 1, "when_full": "no"}, "invalid_type", "when_full"),
    ],
)
async def test_a_definition_that_makes_no_sense(api: Any, limit: Any, code: str, field: str) -> None:
    answer = await put(api, **limit)
    assert (answer.status, answer.code, answer.body["field"]) == (400, code, field)
    assert answer.body["hint"]
    assert (await api.call("GET", "/limits")).body == {"limits": []}


async def test_a_rate_is_a_number(api: Any) -> None:
    for number in ("nan", "inf"):
        answer = await put(api, rate={"units": 1, "per_seconds": float(number)})
        assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_number", "rate.per_seconds")


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ({}, "missing_field", "override"),
        ({"override": {}}, "invalid_limit", "override"),
        ({"override": {"concurrency": 2}}, "invalid_limit", "override.concurrency"),
        ({"override": {"when_full": "wait"}}, "unknown_field", "override.when_full"),
        ({"override": {"concurrency": 1}, "untill": None}, "unknown_field", "untill"),
        *(
            ({"override": {"concurrency": 1}, "until": f"{year}-01-31T12:00:00Z"}, "out_of_range", "until")
            for year in (2020, 9999)
        ),
        ({"override": {"concurrency": 1}, "until": 5}, "invalid_type", "until"),
        ({"override": None, "until": "2040-01-31T12:00:00Z"}, "invalid_limit", "until"),
        ({"override": None, "note": "why"}, "invalid_limit", "note"),
        ({"override": {"concurrency": 1}, "until": "2040-01-31T12:00:00"}, "timezone_required", "until"),
        ({"override": {"concurrency": 1}, "until": "soon"}, "invalid_type", "until"),
        ({"override": {"concurrency": 1}, "note": "x" * 501}, "out_of_range", "note"),
    ],
)
async def test_an_override_that_makes_no_sense(api: Any, said: Any, code: str, field: str) -> None:
    await put(api, concurrency=1, order="fifo")
    answer = await api.call("PATCH", "/limits/stripe", json=said)
    assert (answer.status, answer.code, answer.body["field"]) == (400, code, field)
    assert answer.body["hint"]
    assert (await api.call("GET", "/limits/stripe")).body["override"] is None


async def test_an_override_in_the_past_is_told_what_to_do(api: Any) -> None:
    await put(api, concurrency=1)
    said = {"override": {"concurrency": 2}, "until": "2020-01-31T12:00:00Z"}
    assert (await api.call("PATCH", "/limits/stripe", json=said)).body["hint"] == "give a time to come"


@pytest.mark.parametrize("key", ["x" * 129, "a%0Ab"])
async def test_a_key_that_is_none(api: Any, key: str) -> None:
    await put(api, concurrency=1)
    for method, path in (("GET", ""), ("POST", "/resume")):
        answer = await api.call(method, f"/limits/stripe{path}?key={key}")
        assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_limit", "key")


async def test_a_name_that_is_none(api: Any) -> None:
    answer = await put(api, name="a%20b", concurrency=1)
    assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_limit", "limit")


async def test_a_limit_that_is_in_use_is_deleted_and_what_waits_behind_it_goes_on(api: Any, node: Any) -> None:
    await put(api, concurrency=1)
    first, second = [await api.submit(limits=[{"name": "stripe", "key": "a"}]) for _ in range(2)]
    running = await node.take()
    deleted = await api.call("DELETE", "/limits/stripe")
    assert deleted.body == {"name": "stripe", "deleted": True}
    assert sorted(map(format_id, (decode(running[2]).id, decode((await node.take())[2]).id))) == [first, second]
    refused = await api.call("POST", "/jobs", json={"kind": "k", "limits": [{"name": "stripe", "key": "a"}]})
    assert (refused.status, refused.code) == (422, "unknown_limit")


async def test_a_namespace_has_as_many_limits_as_it_may(start_api: Any, settings: Settings) -> None:
    api = await start_api(msgspec.structs.replace(settings, max_limits=2))
    for name in ("a", "b"):
        assert (await put(api, name=name, concurrency=1)).status == 200
    refused = await put(api, name="c", concurrency=1)
    assert (refused.status, refused.code) == (429, "quota_exceeded")
    assert refused.body["quota"] == "namespace.limits"
    assert (await put(api, name="a", concurrency=2)).status == 200
    await api.call("DELETE", "/limits/a")
    assert (await put(api, name="c", concurrency=1)).status == 200


async def test_a_namespace_has_as_many_keys_in_use_as_it_may(start_api: Any, settings: Settings) -> None:
    api = await start_api(msgspec.structs.replace(settings, max_limit_keys=1))
    await put(api, concurrency=1)
    job = {"kind": "k", "limits": [{"name": "stripe", "key": "a"}]}
    assert (await api.call("POST", "/jobs/batch", json=[job, job])).status == 201
    other = {"kind": "k", "limits": [{"name": "stripe", "key": "b"}]}
    for path, body in (("/jobs", other), ("/jobs/batch", [job, other])):
        refused = await api.call("POST", path, json=body)
        assert (refused.status, refused.code, refused.body["field"]) == (429, "quota_exceeded", "limits")
        assert (refused.body["quota"], refused.body["current"]) == ("namespace.limit_keys", 1)
        assert refused.body["hint"].startswith("take keys that many jobs share")


def test_a_rate_says_how_many_may_come_at_once() -> None:
    assert Rate(100).most_at_once == 10
