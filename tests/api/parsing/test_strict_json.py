from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.api.parsing.strict_json import InvalidJson, canonical, count_values
from ironforge.formats.json_rules import MAX_DEPTH, MAX_INTEGER, MIN_INTEGER
from ironforge.job.checks import MAX_VALUES


def refusal(body: bytes) -> tuple[str, str | None]:
    with pytest.raises(InvalidJson) as caught:
        canonical(body)
    return caught.value.code, caught.value.field


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        (b"", "body_required", None),
        (b" \n\t ", "body_required", None),
        (b'{"a":', "invalid_json", None),
        (b"{} {}", "invalid_json", None),
        (b"'a'", "invalid_json", None),
        (b'"\n"', "invalid_json", None),
        (b"\xef\xbb\xbf{}", "invalid_json", None),
        (b'{"a":NaN}', "invalid_number", "a"),
        (b'{"a":[1,-Infinity]}', "invalid_number", "a[1]"),
        (b"Infinity", "invalid_number", None),
        (b'{"p":{"n":18446744073709551616}}', "number_out_of_range", "p.n"),
        (b"-9223372036854775809", "number_out_of_range", None),
        (b"[" + b"9" * 5_000 + b"]", "number_out_of_range", "[0]"),
        (b'{"a":1e400}', "number_out_of_range", "a"),
        (b'{"a":1,"a":2}', "duplicate_key", "a"),
        (b'{"x":[{"a":1,"\\u0061":1}]}', "duplicate_key", "x[0].a"),
        (b'{"a":"\\ud800"}', "invalid_unicode", "a"),
        (b'{"a":{"\\uDC00":1}}', "invalid_unicode", "a.?"),
        (b'"\xff"', "invalid_unicode", None),
        (b'["\\ud800x"] x', "invalid_unicode", "[0]"),
        (b'{"a":1,"a":"\\u003a"}', "duplicate_key", "a"),
        (b'{"a":1,"a":2,"b":"\\\\\\u003A"}', "duplicate_key", "a"),
        (b"[" + b"1," * MAX_VALUES + b"1]", "too_many_values", None),
        (b"[" + b"[]," * MAX_VALUES + b"1]", "too_many_values", None),
        (b"[" * (MAX_VALUES + 1), "too_many_values", None),
        (b"[" * 33 + b"]" * 33, "too_deep", None),
        (b'{"a":[' * 17 + b"]}" * 17, "too_deep", None),
        (b"[" * 10_000, "too_deep", None),
        (b'["]",' * 40 + b"1" + b"]" * 40, "too_deep", None),
    ],
)
def test_refuses_what_readers_disagree_about(body: bytes, code: str, path: str | None) -> None:
    assert refusal(body) == (code, path)


def test_names_line_and_column_of_a_syntax_error() -> None:
    with pytest.raises(InvalidJson, match="line 2, column 5"):
        canonical(b'{"a":1,\n "b"}')


def test_names_a_bad_number_in_broken_json_as_broken_json() -> None:
    assert refusal(b'{"a":NaN,') == ("invalid_json", None)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b' {"a": [1, 2.5, null, true]} ', {"a": [1, 2.5, None, True]}),
        (str(MAX_INTEGER).encode(), MAX_INTEGER),
        (str(MIN_INTEGER).encode(), MIN_INTEGER),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'{"a":"\\u003a","b":"\\\\u003a:"}', {"a": ":", "b": "\\u003a:"}),
        (b"[" + b"1," * 150_000 + b"1]", [1] * 150_001),
        (b'"' + b"[,{" * MAX_VALUES + b'"', "[,{" * MAX_VALUES),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
        (b'["' + b"[" * 100 + b'"]', ["[" * 100]),
        (b'["\\"' + b"{" * 100 + b'"]', ['"' + "{" * 100]),
        (b"[" + b",".join([b"{}"] * 100) + b"]", [{}] * 100),
    ],
)
def test_accepts_what_every_reader_understands_the_same_way(body: bytes, value: Any) -> None:
    assert json.loads(canonical(body)) == value


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(MIN_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(values)
def test_reads_every_plain_value_back(value: Any) -> None:
    assert json.loads(canonical(json.dumps(value).encode())) == value


@given(st.lists(st.sampled_from([b"[", b"]", b'{"a":', b"}", b'"', b"\\", b",", b"1"]), max_size=120).map(b"".join))
def test_refuses_every_text_that_is_deeper_than_the_limit(body: bytes) -> None:
    try:
        value = json.loads(canonical(body))
    except InvalidJson:
        return
    assert depth(value) <= MAX_DEPTH
    assert value == json.loads(body)


def depth(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(depth, children), default=0)


CODES = {
    "body_required",
    "invalid_json",
    "too_deep",
    "number_out_of_range",
    "invalid_number",
    "duplicate_key",
    "invalid_unicode",
}


@given(st.binary(max_size=200) | st.text('[]{}":,\\u0deEN1aI-. ', max_size=60).map(str.encode))
def test_never_fails_in_another_way(body: bytes) -> None:
    try:
        canonical(body)
        code = "accepted"
    except InvalidJson as error:
        code = error.code

    assert code in CODES | {"accepted"}


@given(
    st.text('[]{}":,\\u03aA1e.-0 ', max_size=80).map(str.encode) | values.map(lambda value: json.dumps(value).encode())
)
def test_takes_exactly_what_a_parser_in_python_would_take(body: bytes) -> None:
    try:
        canonical(body)
        taken = True
    except InvalidJson:
        taken = False

    assert taken == is_strict(body)


def is_strict(body: bytes) -> bool:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    def whole(digits: str) -> int:
        if not MIN_INTEGER <= int(digits) <= MAX_INTEGER:
            raise ValueError
        return int(digits)

    def broken(value: float) -> float:
        if not math.isfinite(value):
            raise ValueError
        return value

    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=members,
            parse_int=whole,
            parse_float=lambda digits: broken(float(digits)),
            parse_constant=lambda name: broken(float(name)),
        )
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        return False
    return depth(value) <= MAX_DEPTH


@given(values)
def test_counts_no_value_too_few(value: Any) -> None:
    assert count_values(json.dumps(value).encode()) >= number_of(value)


@given(values)
def test_counts_exactly_where_it_matters(value: Any) -> None:
    many = [value] * 100

    assert number_of(many) <= count_values(json.dumps(many).encode() + b" ") <= number_of(many) + len(repr(many))


def number_of(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(number_of, children))


def test_a_refusal_shows_no_more_of_a_key_than_helps() -> None:
    with pytest.raises(InvalidJson) as caught:
        canonical(b'{"' + b"k" * 500_000 + b'":[' + b"0," * 1_000 + b"NaN]}")

    assert caught.value.field == f"{'k' * 100}[1000]"
