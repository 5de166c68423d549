"""What a caller that is limited to queues learns of the others: nothing, by whichever call it asks."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
import redis.asyncio as redis
from hypothesis import given
from hypothesis import strategies as st

from ironforge.api.operations.queue_metrics import of_queues
from ironforge.api.parsing.cursors import MAX_CHARACTERS, Cursors
from ironforge.api.problems import ApiProblem
from ironforge.auth.caller import SCOPES
from ironforge.auth.quota import Quota
from ironforge.metrics.jobs import Metrics
from ironforge.metrics.queue_depths import Reading
from ironforge.redis.keys import Keys
from ironforge.settings import Settings
from ironforge.store.counts import Stats, StreamDepth
from tests.auth.conftest import Build
from tests.auth.kit import Answer, House
from tests.auth.test_quotas import submit

SECRET = "their-secret-queue"


class Scene(msgspec.Struct):
    """A namespace with jobs of `ours` and of a secret queue; `foreign`: everything that must not be told."""

    house: House
    whole: str
    limited: str
    foreign: list[str]

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        return await self.house.call(method, path, self.limited, **options)


@pytest.fixture
async def scene(house: House) -> Scene:
    await house.node(kinds=["their.kind"])
    whole, limited = await house.key(name="whole"), await house.key(SCOPES, queues=["ours"], name="limited")
    ids = [await house.submit(whole, queue=SECRET, kind="their.kind") for _ in range(7)]
    ids.append(await house.submit(whole, queue=SECRET, delay_seconds=600))
    for _ in range(3):
        await house.submit(whole, queue="ours")
    assert (await house.call("DELETE", f"/jobs/{ids[0]}", whole)).status == 200
    assert (await house.call("POST", f"/queues/{SECRET}/pause", whole)).status == 200
    await house.key(queues=[SECRET], name="their-key")
    return Scene(house, whole, limited, [SECRET, "their-key", "their.kind", *ids])


def told(answer: Answer) -> str:
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    return body.decode() + json.dumps(dict(answer.headers))


@pytest.mark.parametrize(
    "path",
    [
        "/jobs",
        "/jobs?state=queued",
        "/dlq",
        "/queues/stats",
        "/nodes",
        "/kinds",
        "/health",
        "/metrics",
        "/quotas",
        "/keys",
        "/audit",
    ],
)
async def test_nothing_that_is_read_tells_of_another_queue(scene: Scene, path: str) -> None:
    await scene.call("POST", "/queues/ours/pause")
    answer = await scene.call("GET", path)

    assert answer.status == 200
    assert [word for word in scene.foreign if word in told(answer)] == []


async def test_a_kind_whose_jobs_go_to_another_queue_is_not_there(scene: Scene) -> None:
    answer = await scene.call("GET", "/kinds/their.kind")
    assert (answer.status, answer.code) == (404, "kind_not_found")
    assert (await scene.house.call("GET", "/kinds/their.kind", scene.whole)).status == 200


async def test_an_unknown_kind_is_refused_without_the_name_of_another(settings: Settings, build: Build) -> None:
    house = await build(msgspec.structs.replace(settings, unknown_kinds="refuse"))
    await house.node(kinds=["their.kind"])
    limited, job = await house.key(SCOPES, queues=["ours"]), {"kind": "their.kin", "queue": "ours"}
    told_all = await house.call("POST", "/jobs", await house.key(), json=job)
    told_less = await house.call("POST", "/jobs", limited, json=job)
    assert (told_all.status, told_all.body["hint"]) == (422, "their.kind")
    assert (told_less.status, told_less.body.get("hint")) == (422, None)
    assert "their.kind" not in told_less.body["detail"]


async def test_counts_are_those_of_its_queues(scene: Scene) -> None:
    mine, all_of_it = (
        (await scene.call("GET", "/queues/stats")).body,
        await scene.house.call("GET", "/queues/stats", scene.whole),
    )
    names = ("queued", "scheduled", "dlq_depth", "totals", "rates")

    assert [mine[name] for name in names] == [3, None, None, None, None]
    assert all_of_it.body["queued"] == 9
    assert all_of_it.body["scheduled"] == 1
    assert (await scene.call("GET", "/quotas")).body["usage"] is None
    assert (await scene.house.call("GET", "/quotas", scene.whole)).body["usage"]["stored_jobs"] > 0


async def test_the_trail_is_that_of_its_queues_and_of_its_own_deeds(scene: Scene) -> None:
    await scene.house.call("POST", "/queues/ours/pause", scene.whole)
    made = await scene.call("POST", "/keys", json={"name": "n", "scopes": ["jobs:read"]})
    entries = (await scene.call("GET", "/audit")).body["entries"]

    assert [(entry["action"], entry["target"], entry["queue"]) for entry in entries] == [
        ("createKey", made.body["id"], ""),
        ("pauseQueue", "ours", "ours"),
    ]
    everything = (await scene.house.call("GET", "/audit", scene.whole)).body["entries"]
    assert [entry["queue"] for entry in everything[-2:]] == [SECRET, SECRET]


async def test_a_page_of_metrics_has_its_queues_alone() -> None:
    metrics = Metrics()
    metrics.submitted("their.kind", 2, 7)
    streams = [StreamDepth(queue, 2, number, 0, None) for number, queue in enumerate(("ours", SECRET, "more"), 3)]
    told = Reading(Stats(streams, 99, 98, {}, 1, [SECRET, "ours"]), [])
    page, content_type = of_queues(metrics.exposition, {"ours", "more"})(told)
    samples = [line for line in page.decode().splitlines() if not line.startswith("#")]

    assert {'{priority="medium",queue="ours"} 3.0', '{priority="medium",queue="more"} 5.0', '{queue="ours"} 1.0'} <= {
        line[line.index("{") :] for line in samples
    }
    assert [line for line in samples if "ours" not in line and "more" not in line] == []
    assert SECRET not in page.decode()
    assert content_type == metrics.exposition()[1]


async def test_nor_does_an_error_name_one(scene: Scene) -> None:
    keys, foreign = Keys(scene.house.namespace), scene.foreign[-2]
    async with redis.Redis.from_url(scene.house.settings.redis_url) as client:
        for number in range(4):
            await client.set(keys.stream(f"{SECRET}:{number}"), "somebody's")
    answers = [await scene.call(method, f"/jobs/{foreign}") for method in ("GET", "DELETE")]
    assert [answer for answer in answers if SECRET in told(answer)] == []
    assert [answer.status for answer in answers] == [503, 503]


# --------------------------------------------------------------------------- the same idempotency key


async def test_a_conflict_names_no_foreign_job(scene: Scene) -> None:
    key, job = {"Idempotency-Key": "k-1"}, {"kind": "a", "queue": SECRET}
    first = await scene.house.call("POST", "/jobs", scene.whole, json=job, headers=key)
    conflict = await scene.call("POST", "/jobs", json={"kind": "a", "queue": "ours"}, headers=key)

    assert conflict.status == 409
    assert conflict.code == "idempotency_conflict"
    assert first.body["id"] not in told(conflict)
    assert conflict.body.get("job_id") is None
    known = await scene.house.call("POST", "/jobs", scene.whole, json={"kind": "b"}, headers=key)
    assert known.status == 409
    assert known.body["job_id"] == first.body["id"]


async def test_a_conflict_names_a_job_of_its_own(scene: Scene) -> None:
    key = {"Idempotency-Key": "k-2"}
    first = await scene.call("POST", "/jobs", json={"kind": "a", "queue": "ours"}, headers=key)
    conflict = await scene.call("POST", "/jobs/batch", json=[{"kind": "b", "queue": "ours"}], headers=key)

    assert conflict.status == 409
    assert conflict.body["job_id"] == first.body["id"]


async def test_nobody_replays_the_answer_to_a_job_of_another_queue(scene: Scene) -> None:
    key, job = {"Idempotency-Key": "k-3"}, {"kind": "a", "queue": SECRET}
    first = await scene.house.call("POST", "/jobs", scene.whole, json=job, headers=key)
    again = await scene.call("POST", "/jobs", json=job, headers=key)

    assert again.status == 403
    assert again.code == "queue_not_allowed"
    assert first.body["id"] not in told(again)


async def test_a_full_quota_does_not_say_how_full(house: House) -> None:
    await house.quotas.put(house.namespace, Quota(in_flight=5))
    whole, limited = await house.key(), await house.key(queues=["ours"])
    statuses = [(await submit(house, whole)).status for _ in range(5)]
    assert statuses == [201] * 5
    await house.quotas.put(house.namespace, Quota(in_flight=2))
    refused = await submit(house, await house.key(quota=Quota(in_flight=2), queues=["ours"]), queue="ours")

    assert refused.status == 429
    assert refused.body["current"] == 2
    assert "5" not in refused.body["detail"].replace("15", "")
    assert limited


# --------------------------------------------------------------------------- cursors


async def test_a_cursor_is_opaque_and_good_for_its_own_list(scene: Scene) -> None:
    house = scene.house
    for _ in range(3):
        await house.submit(scene.whole, queue=SECRET)
    page = (await house.call("GET", "/jobs", scene.whole, params={"limit": 2})).body
    cursor = page["next"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert [word for word in (SECRET, "ours", house.namespace, "if:") if word.encode() in raw] == []

    other_namespace = await house.key(namespace=house.namespace + "x")
    mine = {"limit": 2, "cursor": cursor}
    assert (await house.call("GET", "/jobs", scene.whole, params=mine)).status == 200
    assert (await house.call("GET", "/jobs", await house.key(), params={"cursor": cursor})).status == 200
    for key, path, query in (
        (scene.limited, "/jobs", mine),
        (other_namespace, "/jobs", mine),
        (scene.whole, "/jobs", {**mine, "state": "queued"}),
        (scene.whole, "/jobs", {**mine, "queue": "ours"}),
        (scene.whole, "/jobs", {**mine, "kind": "demo.echo"}),
        (scene.whole, "/dlq", mine),
        (scene.whole, "/audit", mine),
        (scene.whole, "/jobs", {"cursor": cursor[:-1]}),
        (scene.whole, "/jobs", {"cursor": ("A" if cursor[20] != "A" else "B").join((cursor[:20], cursor[21:]))}),
        (scene.whole, "/jobs", {"cursor": "x" * (MAX_CHARACTERS + 4)}),
    ):
        answer = await house.call("GET", path, key, params=query)
        assert answer.status == 400
        assert answer.code == "invalid_parameter"
        assert answer.body["field"] == "cursor"


@given(st.text(max_size=200), st.lists(st.none() | st.text(max_size=5) | st.lists(st.text(max_size=5)), max_size=4))
def test_what_was_sealed_is_opened_for_the_same_purpose(place: str, purpose: list[Any]) -> None:
    settings = Settings(key_pepper="x" * 32)
    sealed = Cursors(settings).seal(place, *purpose)

    assert Cursors(settings).open(sealed, *purpose) == place
    for other in (settings, msgspec.structs.replace(settings, namespace="other"), Settings(key_pepper="y" * 32)):
        wrong = [*purpose, "more"] if other is settings else purpose
        with pytest.raises(ApiProblem, match="not given out by this API"):
            Cursors(other).open(sealed, *wrong)


@given(st.text(max_size=50))
def test_no_other_text_is_a_cursor(text: str) -> None:
    with pytest.raises(ApiProblem, match="not given out by this API"):
        Cursors(Settings()).open(text)


def test_the_end_has_no_cursor() -> None:
    cursors = Cursors(Settings())
    assert cursors.seal(None) is None
    assert cursors.open(None) is None
