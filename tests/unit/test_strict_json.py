from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.api.strict_json import MAX_DEPTH, MAX_INTEGER, MIN_INTEGER, InvalidJson, parse


def refusal(body: bytes) -> tuple[str, str | None]:
    with pytest.raises(InvalidJson) as caught:
        parse(body)
    return caught.value.code, caught.value.path


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
        (b"[" * 33 + b"]" * 33, "too_deep", None),
        (b'{"a":[' * 17 + b"]}" * 17, "too_deep", None),
        (b"[" * 10_000, "too_deep", None),
        (b'["]",' * 40 + b"1" + b"]" * 40, "too_deep", None),
    ],
)
def test_refuses_what_readers_disagree_about(body: bytes, code: str, path: str | None) -> None:
    assert (code, path) == refusal(body)


def test_names_line_and_column_of_a_syntax_error() -> None:
    with pytest.raises(InvalidJson, match="line 2, column 5"):
        parse(b'{"a":1,\n "b"}')


def test_names_a_bad_number_in_broken_json_as_broken_json() -> None:
    assert ("invalid_json", None) == refusal(b'{"a":NaN,')


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b' {"a": [1, 2.5, null, true]} ', {"a": [1, 2.5, None, True]}),
        (str(MAX_INTEGER).encode(), MAX_INTEGER),
        (str(MIN_INTEGER).encode(), MIN_INTEGER),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
        (b'["' + b"[" * 100 + b'"]', ["[" * 100]),
        (b'["\\"' + b"{" * 100 + b'"]', ['"' + "{" * 100]),
        (b"[" + b",".join([b"{}"] * 100) + b"]", [{}] * 100),
    ],
)
def test_accepts_what_every_reader_understands_the_same_way(body: bytes, value: Any) -> None:
    assert value == parse(body)


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
    assert value == parse(json.dumps(value).encode())


@given(st.lists(st.sampled_from([b"[", b"]", b'{"a":', b"}", b'"', b"\\", b",", b"1"]), max_size=120).map(b"".join))
def test_refuses_every_text_that_is_deeper_than_the_limit(body: bytes) -> None:
    try:
        value = parse(body)
    except InvalidJson:
        return
    assert depth(value) <= MAX_DEPTH
    assert json.loads(body) == value


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
        code = "accepted" if parse(body) is not None else "accepted null"
    except InvalidJson as error:
        code = error.code

    assert code in CODES | {"accepted", "accepted null"}
