"""What references in a payload stand for."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.job.checks import MAX_PAYLOAD_BYTES
from ironforge.workflows.definition import MAX_ITEMS
from ironforge.workflows.errors import Unresolved
from ironforge.workflows.payloads import Reference, items_of, parse_reference, resolved, words_in
from tests.support.waiting import PATIENCE_SECONDS

RESULTS = {
    "fetch": b'{"url":"http://x/1","items":[{"url":"a"},{"url":"b"}],"size":1.50,"big":123456789012345678901234567890}',
    "my.node": b"[1, 2]",
    "failed": None,
}


def of(payload: Any, item: bytes | None = None) -> Any:
    return json.loads(resolved(json.dumps(payload).encode(), RESULTS, item))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fetch.result.url", "http://x/1"),
        ("fetch.result.items", [{"url": "a"}, {"url": "b"}]),
        ("fetch.result.items.1.url", "b"),
        ("my.node.result.0", 1),
        ("my.node.result", [1, 2]),
        # One that did not succeed has nothing anywhere.
        ("failed.result", None),
        ("failed.result.items.0", None),
    ],
)
def test_a_reference_is_replaced_wherever_it_stands(text: str, expected: Any) -> None:
    reference = {"$result": text}
    assert of(reference) == expected
    assert of({"a": [1, {"b": reference}], "c": "$result"}) == {"a": [1, {"b": expected}], "c": "$result"}


def test_what_is_not_replaced_stays_byte_for_byte() -> None:
    payload = b'{"a":{"x" : 1.50},"b":{"$result":"fetch.result.size"},"c":{"$result":"fetch.result.big"}}'
    assert resolved(payload, RESULTS) == b'{"a":{"x" : 1.50},"b":1.50,"c":123456789012345678901234567890}'
    assert resolved(b' {"x" : 1.50} ', {}) == b' {"x" : 1.50} '


def test_a_word_may_be_spelled_with_an_escape() -> None:
    payload = b'{"a":{"\\u0024result":"fetch.result.url"}}'
    assert words_in(payload).results == [("payload.a", Reference("fetch", ("url",)))]
    assert resolved(payload, RESULTS) == b'{"a":"http://x/1"}'


def test_an_item_is_whole_or_a_part_of_it() -> None:
    item = b' {"owner":{"name":"Ada"},"tags":["x"]}'
    assert of({"a": {"$item": "owner.name"}, "b": {"$item": "tags.0"}}, item) == {"a": "Ada", "b": "x"}
    assert of({"$item": ""}, b'"text"') == "text"


def test_a_literal_is_left_as_it_is() -> None:
    assert of({"$literal": {"$result": "nowhere"}}) == {"$result": "nowhere"}
    assert of([{"$set": {"a": {"$result": "my.node.result.0"}}}]) == [{"$set": {"a": 1}}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fetch.result.ulr", "payload.a[0]: fetch.result has no 'ulr': did you mean 'url'?"),
        ("fetch.result.nothing", "payload.a[0]: fetch.result has no 'nothing': it has url, items, size, big"),
        ("fetch.result.items.2", "payload.a[0]: fetch.result.items is a list of 2, and has no element '2'"),
        ("fetch.result.items.-1", "payload.a[0]: fetch.result.items is a list of 2, and has no element '-1'"),
        ("fetch.result.items.url", "payload.a[0]: fetch.result.items is a list of 2, and has no element 'url'"),
        ("fetch.result.url.x", "payload.a[0]: fetch.result.url is a text, and has no 'x'"),
        ("other.result", "payload.a[0]: there is no result of other"),
    ],
)
def test_what_is_not_there_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(Unresolved) as unresolved:
        of({"a": [{"$result": text}]})
    assert str(unresolved.value) == message
    assert unresolved.value.place == "payload.a[0]"


def test_no_item_where_there_is_no_map() -> None:
    with pytest.raises(Unresolved, match="there is no item"):
        of({"$item": ""})


def test_a_payload_is_bounded_before_it_is_built() -> None:
    results = {"big": json.dumps("x" * 500_000).encode()}
    payload = json.dumps([{"$result": "big.result"}] * 30_000).encode()
    with pytest.raises(Unresolved) as unresolved:
        resolved(payload, results)
    assert unresolved.value.place == "payload[2]"
    assert str(MAX_PAYLOAD_BYTES) in str(unresolved.value)
    with pytest.raises(Unresolved) as unresolved:
        resolved(json.dumps([{"$result": "big.result"}, "y" * 600_000]).encode(), results)
    assert unresolved.value.place == "payload"


def test_many_parts_of_one_large_result_are_looked_up_in_no_time() -> None:
    results = {"list": json.dumps([*range(100_000)]).encode()}
    payload = json.dumps([{"$result": f"list.result.{number}"} for number in range(25_000)]).encode()
    started = time.process_time()
    assert json.loads(resolved(payload, results)) == [*range(25_000)]
    assert time.process_time() - started < PATIENCE_SECONDS


def test_items_of_a_map() -> None:
    assert items_of("fetch.result.items", RESULTS) == [b'{"url":"a"}', b'{"url":"b"}']
    assert items_of("my.node.result", {"my.node": b"[]"}) == []


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("fetch.result.url", "map.over: fetch.result.url is a text, and no list"),
        ("fetch.result", "map.over: fetch.result is an object, and no list"),
        ("failed.result", "map.over: failed.result is null, and no list"),
        ("fetch.result.itms", "map.over: fetch.result has no 'itms': did you mean 'items'?"),
    ],
)
def test_a_map_over_what_is_no_list(over: str, message: str) -> None:
    with pytest.raises(Unresolved) as unresolved:
        items_of(over, RESULTS)
    assert str(unresolved.value) == message


def test_a_map_over_too_long_a_list() -> None:
    with pytest.raises(Unresolved, match="100001 items, at most 100000"):
        items_of("a.result", {"a": b"[" + b"0," * MAX_ITEMS + b"0]"})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc$", min_size=1, max_size=3), inner, max_size=3)
        | st.sampled_from([{"$result": "fetch.result.url"}, {"$result": "my.node.result"}])
    ),
    max_leaves=12,
)


def plainly(value: Any) -> Any:
    """The oracle."""
    if isinstance(value, dict):
        if [*value] == ["$result"]:
            return {"fetch.result.url": "http://x/1", "my.node.result": [1, 2]}[value["$result"]]
        return {name: plainly(part) for name, part in value.items()}
    return [plainly(part) for part in value] if isinstance(value, list) else value


@given(VALUES)
def test_any_payload_is_filled_as_a_plain_walk_fills_it(payload: Any) -> None:
    assert of(payload) == plainly(payload)


@given(st.from_regex(r"[a-z][a-z.]{0,5}", fullmatch=True), st.lists(st.from_regex(r"[a-z0-9]+", fullmatch=True)))
def test_a_reference_is_read_back_as_it_was(node: str, path: list[str]) -> None:
    reference = Reference(node, tuple(path))
    assert parse_reference(str(reference), "payload") == reference
