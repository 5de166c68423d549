"""Every door refuses alike, and with the same words, what JSON would carry as something else."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.api.parsing.strict_json import InvalidJson, canonical
from ironforge.client.payloads import job_body, lines_of
from ironforge.errors import SerializationError
from ironforge.formats.json_rules import MAX_INTEGER, MIN_INTEGER
from ironforge.handlers.forge import Forge
from ironforge.job.json_values import encode_payload, encode_result
from ironforge.job.tracebacks import UnusableResult


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Name(str):
    __slots__ = ()


@dataclass
class Point:
    x: float
    more: Any = None


class Place(msgspec.Struct):
    points: list[Point]


RANGE = f"is out of range: {MIN_INTEGER} to {MAX_INTEGER}"
NO_NUMBER = "is not a JSON number: use null or a text"
NAN, INFINITY = math.nan, math.inf
REFUSED = [
    (NAN, "", f"NaN {NO_NUMBER}", "invalid_number"),
    (INFINITY, "", f"Infinity {NO_NUMBER}", "invalid_number"),
    (-INFINITY, "", f"-Infinity {NO_NUMBER}", "invalid_number"),
    ({"items": [0, {}, None, {"price": NAN}]}, ".items[3].price", f"NaN {NO_NUMBER}", "invalid_number"),
    ([None, (1, [INFINITY])], "[1][1][0]", f"Infinity {NO_NUMBER}", "invalid_number"),
    (Place([Point(1.0), Point(NAN)]), ".points[1].x", f"NaN {NO_NUMBER}", "invalid_number"),
    ({"a": MAX_INTEGER + 1}, ".a", f"{MAX_INTEGER + 1} {RANGE}", "number_out_of_range"),
    ([MIN_INTEGER - 1], "[0]", f"{MIN_INTEGER - 1} {RANGE}", "number_out_of_range"),
    (Point(0.0, {"n": 10**40}), ".more.n", f"10000000000000000000… (41 digits) {RANGE}", "number_out_of_range"),
    ([10**5000], "[0]", f"an integer of 16610 bits {RANGE}", "number_out_of_range"),
    ({"a": ["\ud800"]}, ".a[0]", "half of a surrogate pair", "invalid_unicode"),
    ({"a": {"\udfff": 1}}, ".a", "half of a surrogate pair", "invalid_unicode"),
    ({"\udfff": NAN}, ".?", f"NaN {NO_NUMBER}", "invalid_number"),
    ({1: "a", "1": "b"}, "", "the key '1' appears twice in one object", "duplicate_key"),
    ({"a": [{"1": 0, 1: 0}]}, ".a[0]", "the key '1' appears twice in one object", "duplicate_key"),
    ({Colour.RED: 1, "red": 2}, "", "the key 'red' appears twice in one object", "duplicate_key"),
    ({1.5: 1, "1.5": 2}, "", "the key '1.5' appears twice in one object", "duplicate_key"),
]
TAKEN = [
    ({1: "a", "2": "b"}, {"1": "a", "2": "b"}),
    ({Colour.RED: 1, Number.ONE: 2, Name("n"): 3, 0.5: 4}, {"red": 1, "1": 2, "n": 3, "0.5": 4}),
    ([None, 1.5, MAX_INTEGER, MIN_INTEGER, True], [None, 1.5, MAX_INTEGER, MIN_INTEGER, True]),
    ({"NaN": None, "n": "null", "u": "\u02ff\u7fff"}, {"NaN": None, "n": "null", "u": "\u02ff\u7fff"}),
    (
        [None, Decimal("1.5"), datetime(2030, 1, 1, tzinfo=UTC), b"\xcb\x7f\xf8", {1}],
        [None, "1.5", "2030-01-01T00:00:00Z", "y3/4", [1]],
    ),
    (Point(0.5), {"x": 0.5, "more": None}),
]
UNFIT_KEYS = [{None: 1}, {True: 1}, {(1, 2): 1}, {"a": {False: 1}}]


@pytest.mark.parametrize(("value", "path", "problem", "code"), REFUSED)
def test_every_python_door_says_the_same(value: Any, path: str, problem: str, code: str) -> None:
    def of_payload() -> None:
        encode_payload(value)

    def of_client() -> None:
        job_body({"kind": "a", "payload": value})

    def of_forge() -> None:
        Forge().prepare("a", value)

    for door in (of_payload, of_client, of_forge):
        with pytest.raises(SerializationError) as caught:
            door()
        assert f"payload{path}: {problem}" == str(caught.value)
        assert code == caught.value.code
        assert f"payload{path}" == caught.value.field
    with pytest.raises(SerializationError) as in_batch:
        lines_of([{"kind": "a"}, {"kind": "a", "payload": value}])
    assert f"job 1: payload{path}: {problem}" == str(in_batch.value)
    assert code == in_batch.value.code
    with pytest.raises(UnusableResult) as result:
        encode_result(value)
    assert f"result_not_serialisable: result{path}: {problem}" == result.value.reason


@pytest.mark.parametrize(
    ("text", "value"),
    [("NaN", NAN), ("-Infinity", -INFINITY), (str(MAX_INTEGER + 1), MAX_INTEGER + 1), (r'"\ud800"', "\ud800")],
)
def test_http_says_what_python_says(text: str, value: Any) -> None:
    with pytest.raises(InvalidJson) as over_http:
        canonical(b'{"kind":"a","payload":{"items":[' + text.encode() + b"]}}")
    with pytest.raises(SerializationError) as from_python:
        encode_payload({"items": [value]})

    assert str(over_http.value) == str(from_python.value)
    assert over_http.value.code == from_python.value.code
    assert over_http.value.field == from_python.value.field


@pytest.mark.parametrize(("value", "read"), TAKEN)
def test_what_json_carries_is_taken(value: Any, read: Any) -> None:
    assert read == json.loads(encode_payload(value))
    assert read == json.loads(encode_result(value))


@pytest.mark.parametrize("value", UNFIT_KEYS)
def test_keys_that_are_no_text_of_any_kind_are_refused(value: Any) -> None:
    with pytest.raises(SerializationError, match="payload"):
        encode_payload(value)
    with pytest.raises(UnusableResult):
        encode_result(value)


@pytest.mark.parametrize("field", ["delay_seconds", "timeout_seconds", "retain_seconds"])
def test_an_option_of_the_client_that_is_no_number_does_not_become_no_option(field: str) -> None:
    with pytest.raises(SerializationError, match=f"job.{field}: NaN {NO_NUMBER}"):
        job_body({"kind": "a", field: NAN})


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(MIN_INTEGER - 3, MIN_INTEGER + 3)
    | st.integers(MAX_INTEGER - 3, MAX_INTEGER + 3)
    | st.floats()
    | st.text()
    | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=2) | st.integers(0, 2) | st.sampled_from(["0", "1"]), inner, max_size=4)
    ),
    max_leaves=10,
)


def is_carried(value: Any) -> bool:
    if isinstance(value, dict):
        return len({str(key) for key in value}) == len(value) and all(map(is_carried, value.values()))
    if isinstance(value, list):
        return all(map(is_carried, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or MIN_INTEGER <= value <= MAX_INTEGER


@given(values)
def test_a_value_is_taken_when_nothing_of_it_would_be_lost(value: Any) -> None:
    try:
        encode_payload(value)
        taken = True
    except SerializationError:
        taken = False

    assert is_carried(value) == taken


@given(values)
def test_what_python_sends_is_what_http_takes(value: Any) -> None:
    try:
        encoded = encode_payload(value)
    except SerializationError:
        return
    assert canonical(encoded)


def test_an_unusable_result_says_why():
    with pytest.raises(UnusableResult, match=r"^result_not_serialisable: result\.a: object is not"):
        encode_result({"a": object()})
    with pytest.raises(UnusableResult, match=r"^result_too_large: 1048579 bytes"):
        encode_result("x" * 1_048_577)
