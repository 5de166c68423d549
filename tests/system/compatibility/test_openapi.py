"""The HTTP contract of today beside that of version 1: what differs is listed here, with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.kit import Dev
from tests.system.compatibility.conftest import VERSION_1

# What may differ: the place, as `differences` names it, and why.
SCHEMAS = "components → schemas"
REQUESTED = ("priority", "queue", "retain_seconds")
KINDS = (
    "paths → /kinds",
    "paths → /kinds/{kind}",
    *(f"paths → {path} → post → responses → 422" for path in ("/jobs", "/jobs/batch")),
    *(
        f"{SCHEMAS} → JobRequest → properties → {name} → description"
        for name in ("priority", "queue", "retain_seconds")
    ),
    *(
        f"{SCHEMAS} → Problem → properties → code → enum → {code}"
        for code in ("invalid_payload", "kind_not_found", "unknown_kind")
    ),
    *(f"{SCHEMAS} → {name}" for name in ("KindPage", "KindSummary", "KindAnswer", "KindVersionAnswer")),
    *(f"{SCHEMAS} → {name}" for name in ("UnservedAnswer", "WaitingFor")),
    *(
        f"{SCHEMAS} → {answer} → {part} → {field}"
        for part in ("properties", "required")
        for answer, field in (
            ("JobAnswer", "waiting_for"),
            ("QueueStats", "unserved"),
            ("StreamStats", "served_by"),
            ("NodeAnswer", "app_version"),
            ("NodeAnswer", "kinds"),
        )
    ),
)
UNIQUE = (
    "paths → /jobs → post → responses → 200",
    *(f"{SCHEMAS} → {name}" for name in ("Unique",)),
    *(f"{SCHEMAS} → Problem → properties → code → enum → {code}" for code in ("duplicate", "invalid_unique")),
    f"{SCHEMAS} → JobRequest → properties → unique",
    *(
        f"{SCHEMAS} → {answer} → {part} → {field}"
        for part in ("properties", "required")
        for answer, field in (
            ("JobAnswer", "unique"),
            ("AcceptedJob", "deduplicated"),
            ("AcceptedBatch", "deduplicated"),
        )
    ),
)
ALLOWED: dict[str, str] = {
    **dict.fromkeys(KINDS, "nodes announce the kinds that they run"),
    **dict.fromkeys(UNIQUE, "jobs may have a unique key"),
}


def differences(before: object, now: object, place: str = "") -> Iterator[str]:
    """In words, one for each place; `place` is the way there, from the outside in."""
    match before, now:
        case dict(), dict():
            for name in {**before, **now}:
                inside = f"{place} → {name}" if place else str(name)
                if name not in now:
                    yield f"{inside}: is gone, it was {_short(before[name])}"
                elif name not in before:
                    yield f"{inside}: is new, {_short(now[name])}"
                else:
                    yield from differences(before[name], now[name], inside)
        case list(), list() if _by_name(before) and _by_name(now):
            yield from differences(_by_name(before), _by_name(now), place)
        case _ if before != now:
            yield f"{place}: was {_short(before)}, is {_short(now)}"


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    """The items of a list whose order says nothing, so that one more is not a difference of all that follow."""
    names = [item if isinstance(item, str) else _name_of(item) for item in items]
    return dict(zip(names, items, strict=True)) if all(names) and len({*names}) == len(names) else None


def _name_of(item: Any) -> str:
    """Of a parameter, or of one of several schemas."""
    found = [item[key] for key in ("name", "$ref", "type") if key in item] if isinstance(item, dict) else []
    return str(found[0]) if found else ""


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:160]}…"


@pytest.mark.parametrize("name", ["openapi", "openapi_with_authentication"])
def test_it_is_that_of_version_1(tmp_path: Path, name: str, recorded: Any) -> None:
    secrets = {"auth": "on", "key_pepper": recorded["secured"]["pepper"]} if name != "openapi" else {}
    with Dev(tmp_path, "--no-node", **secrets) as dev:
        now = json.loads(dev.get("/openapi.json"))
    before = json.loads((VERSION_1 / f"{name}.json").read_text(encoding="utf-8"))
    found = [one for one in differences(before, now) if one.partition(": ")[0] not in ALLOWED]
    assert found == []


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"get": {"limit": 5, "required": ["b", "a"]}}, []),
        ({"get": {"limit": 6, "required": ["a", "b"]}}, ["get → limit: was 5, is 6"]),
        ({"get": {"required": ["a", "b"]}}, ["get → limit: is gone, it was 5"]),
        ({"get": {"limit": 5, "required": ["a", "b"]}, "put": {}}, ["put: is new, {}"]),
        ({"get": {"limit": 5, "required": ["a"]}}, ['get → required → b: is gone, it was "b"']),
    ],
)
def test_a_difference_is_told_in_words(now: object, expected: list[str]) -> None:
    assert list(differences({"get": {"limit": 5, "required": ["a", "b"]}}, now)) == expected
