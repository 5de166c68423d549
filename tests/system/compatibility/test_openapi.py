"""The HTTP contract of today beside that of version 1: it may grow, and takes nothing away from a client of then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.kit import Dev
from tests.system.compatibility.conftest import VERSION_1

# Where the contract may grow: a client of version 1 neither sends what stands there nor trips over it.
GROWING = {"paths", "schemas", "properties", "responses"}
# Fields whose values the manual says may become more.
GROWING_LISTS = {"code", "scopes", "JobState"}


def breaks(difference: str) -> bool:
    """Whether a client of version 1 may notice it: something is gone, is another, is now demanded or bounded."""
    place, _, what = difference.partition(": ")
    *_, parent, name = ("", *place.split(" → "))
    if name == "description":
        return False
    grows = (
        parent in GROWING
        or (parent == "enum" and GROWING_LISTS & {*place.split(" → ")})
        or (parent == "parameters" and '"required": true' not in what)
        or (parent == "required" and _is_answer(place))
    )
    return not (grows and what.startswith("is new"))


def _is_answer(place: str) -> bool:
    """An answer that always has one field more is no demand."""
    return "Request" not in place and place.startswith("components → schemas")


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
def test_a_client_of_version_1_goes_on_working(tmp_path: Path, name: str, recorded: Any) -> None:
    secrets = {"auth": "on", "key_pepper": recorded["secured"]["pepper"]} if name != "openapi" else {}
    with Dev(tmp_path, "--no-node", **secrets) as dev:
        now = json.loads(dev.get("/openapi.json"))
    before = json.loads((VERSION_1 / f"{name}.json").read_text(encoding="utf-8"))
    assert [difference for difference in differences(before, now) if breaks(difference)] == []


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
