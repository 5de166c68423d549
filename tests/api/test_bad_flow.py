"""Limits and unique keys that make no sense: by every door refused with the same code, field and hint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ironforge import AsyncClient, Forge, InvalidJob
from ironforge.settings import Settings
from tests.api.conftest import Api

NDJSON = {"Content-Type": "application/x-ndjson"}
PRINTABLE = "give at most 128 printable characters, such as an account's number"
UNIQUE_KEY = "give 1 to 255 printable characters"
SECONDS = "give 0.001 to 31536000"
USE_FIELDS = "known are name, key, units"
NAME = "1 to 128 letters, digits, '.', '_' or '-', starting with a letter or a digit"

# What is said of limits, code, field behind `limits`, hint.
LIMITS: list[tuple[Any, str, str, str]] = [
    ([{"name": "none"}], "unknown_limit", "[0].name", "define it first, then submit jobs"),
    ([{"name": "a"}, {"name": "none"}], "unknown_limit", "[1].name", "define it first, then submit jobs"),
    ([{"name": "a", "units": 11}], "units_over_burst", "[0].units", "ask for fewer, or raise its burst"),
    ([{"name": "a"}, {"name": "fifo"}], "invalid_limit", "[1].name", "use one of them alone"),
    ([{"name": "fifo"}, {"name": "fifo2"}], "invalid_limit", "[1].name", "use one of them alone"),
    ([{"name": "a", "key": "b"}, {"name": "a", "key": "b"}], "invalid_limit", "[1].name", "a job uses each once"),
    ([{"name": name} for name in "abcde"], "out_of_range", "", "a job has at most 4"),
    ([{"name": "a b"}], "invalid_limit", "[0].name", NAME),
    ([{"name": ""}], "invalid_limit", "[0].name", NAME),
    ([{"key": "b"}], "missing_field", "[0].name", USE_FIELDS),
    ([{"name": 1}], "invalid_type", "[0].name", "give text"),
    ([{"name": "a", "unit": 1}], "unknown_field", "[0].unit", "did you mean `units`?"),
    ([{"name": "a", "colour": 1}], "unknown_field", "[0].colour", USE_FIELDS),
    ([{"name": "a", "key": "x" * 129}], "invalid_limit", "[0].key", PRINTABLE),
    *(
        ([{"name": "a"}, {"name": "b", "key": f"a{character}b"}], "invalid_limit", "[1].key", PRINTABLE)
        for character in "\n\0\x1b\x7f\u202e\u2028\ufeff"
    ),
    *(([{"name": "a", "key": key}], "invalid_type", "[0].key", "give text") for key in (7, 1.5, True, None, ["b"], {})),
    ([{"name": "a", "units": 0}], "out_of_range", "[0].units", "give a whole number >= 1"),
    ([{"name": "a", "units": -1}], "out_of_range", "[0].units", "give a whole number >= 1"),
    ([{"name": "a", "units": 10**12}], "out_of_range", "[0].units", "give a whole number <= 1000000000"),
    *(
        ([{"name": "a", "units": units}], "invalid_type", "[0].units", "give a whole number")
        for units in (1.5, "1", True)
    ),
    ([["a"]], "invalid_type", "[0]", "give an object"),
    (["a"], "invalid_type", "[0]", "give an object"),
    *((limits, "invalid_type", "", "give an array") for limits in ("a", 1, {"name": "a"})),
]
# What is said of a unique key `a`, and of the job beside it.
UNIQUE: list[tuple[Any, dict[str, Any], str, str, str]] = [
    *(
        ({"key": key}, {}, "invalid_unique", "unique.key", UNIQUE_KEY)
        for key in ("", "x" * 256, "a\n", "a\0", "\u202e")
    ),
    *(({"key": key}, {}, "invalid_type", "unique.key", "give text") for key in (7, 1.5, True, None, ["b"], {})),
    ({"while": "never"}, {}, "invalid_type", "unique.while", "one of queued, unfinished"),
    ({"on_conflict": "drop"}, {}, "invalid_type", "unique.on_conflict", "one of return, reject, replace, debounce"),
    ({"whil": "queued"}, {}, "unknown_field", "unique.whil", "did you mean `while`?"),
    *(({"for_seconds": given}, {}, "out_of_range", "unique.for_seconds", SECONDS) for given in (0, -1, 1e12)),
    ({"for_seconds": "soon"}, {}, "invalid_type", "unique.for_seconds", "give a number of seconds"),
    ({"for_seconds": [1]}, {}, "invalid_type", "unique.for_seconds", "give a number"),
    (
        {"on_conflict": "debounce", "for_seconds": 5},
        {"delay_seconds": 1},
        "invalid_unique",
        "unique.for_seconds",
        "give max_wait_seconds to bound how long it is put off",
    ),
    (
        {"on_conflict": "debounce", "while": "unfinished"},
        {"delay_seconds": 1},
        "invalid_unique",
        "unique.while",
        "leave `while` out, or say queued",
    ),
    (
        {"on_conflict": "debounce", "max_wait_seconds": 1},
        {"delay_seconds": 2},
        "invalid_unique",
        "unique.max_wait_seconds",
        "give at least the delay",
    ),
    *(
        ({"on_conflict": "debounce"}, beside, "invalid_unique", "delay_seconds", "give delay_seconds, and no run_at")
        for beside in ({}, {"delay_seconds": 0}, {"run_at": "2020-01-31T12:00:00Z"})
    ),
    ({"max_wait_seconds": 5}, {}, "invalid_unique", "unique.max_wait_seconds", "give on_conflict debounce"),
    (
        {"on_conflict": "replace", "for_seconds": 5},
        {},
        "invalid_unique",
        "unique.on_conflict",
        "say `while` queued or unfinished, or leave for_seconds out",
    ),
]
JOBS: list[tuple[dict[str, Any], str, str, str]] = [
    *(({"limits": said}, code, f"limits{field}", hint) for said, code, field, hint in LIMITS),
    *(({"unique": {"key": "a", **said}, **beside}, *expected) for said, beside, *expected in UNIQUE),
    *(({"unique": said}, "invalid_type", "unique", "give an object") for said in ("a", 1, ["a"])),
    ({"unique": {}}, "missing_field", "unique.key", "known are key, while, for_seconds, on_conflict, max_wait_seconds"),
]


@pytest.fixture(autouse=True)
async def defined(api: Api) -> None:
    for name in "ab":
        await api.call("PUT", f"/limits/{name}", json={"concurrency": 2, "rate": {"units": 100, "burst": 10}})
    for name in ("fifo", "fifo2"):
        await api.call("PUT", f"/limits/{name}", json={"concurrency": 1, "order": "fifo"})


async def refusals(api: Api, settings: Settings, options: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Code, field, hint and place in the batch: over HTTP single, as array and lines; from the client; straight."""
    job = {"kind": "k", "payload": 1, **options}
    two = [{"kind": "k"}, job]
    answers = [
        await api.call("POST", "/jobs", json=job),
        await api.call("POST", "/jobs/batch", json=two),
        await api.call("POST", "/jobs/batch", data="\n".join(map(json.dumps, two)), headers=NDJSON),
    ]
    found = [tuple(answer.body.get(name) for name in ("code", "field", "hint", "index")) for answer in answers]
    async with AsyncClient(api.url) as client, Forge(settings) as forge:
        for submit in (lambda: client.submit("k", 1, **options), lambda: forge.submit("k", 1, **options)):
            with pytest.raises(InvalidJob) as caught:
                await submit()
            found.append((caught.value.code, caught.value.field, caught.value.hint, caught.value.index))
    return found


@pytest.mark.parametrize(("options", "expected"), [(options, expected) for options, *expected in JOBS])
async def test_a_job_is_refused_by_every_door_alike(
    api: Api, settings: Settings, options: dict[str, Any], expected: list[str]
) -> None:
    said = await refusals(api, settings, options)
    assert said == [(*expected, index) for index in (None, 1, 1, None, None)]
    assert (await api.call("GET", "/jobs")).body["jobs"] == []


@pytest.mark.parametrize("key", ["", "ключ", "😀", "a b", "a:b", "{x}", "x" * 128])
async def test_a_key_may_be_any_printable_text(api: Api, key: str) -> None:
    answer = await api.call("POST", "/jobs", json={"kind": "k", "limits": [{"name": "a", "key": key}]})
    job = await api.call("GET", f"/jobs/{answer.body['id']}")
    assert job.body["limits"] == [{"name": "a", "key": key, "units": 1}]


async def test_a_fifo_limit_stands_beside_one_that_is_a_rate_alone(api: Api) -> None:
    await api.call("PUT", "/limits/rate", json={"rate": {"units": 1}})
    answer = await api.call("POST", "/jobs", json={"kind": "k", "limits": [{"name": "fifo"}, {"name": "rate"}]})
    assert answer.status == 201
