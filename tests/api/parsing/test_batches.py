"""Batches are cut into their jobs wherever those end, and every refusal names the job that it is about."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.api.parsing import batches, requests
from ironforge.api.parsing.bodies import JSON, NDJSON
from ironforge.api.parsing.large_bodies import to_the_end
from ironforge.api.parsing.strict_json import InvalidJson
from ironforge.api.problems import ApiProblem
from ironforge.client.payloads import chunks_of, lines_of
from ironforge.job.checks import MAX_BATCH_VALUES, MAX_PAYLOAD_BYTES

JOB = b'{"kind":"a"}'
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
space = st.text(" \t\r\n", max_size=3).map(str.encode)


def spelled(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def payloads(body: bytes, media_type: str = JSON) -> list[bytes]:
    return [one.job.payload for one in to_the_end(batches.read_batch(body, media_type, None))]


def refusal(body: bytes, media_type: str = JSON) -> tuple[str, int | None]:
    with pytest.raises((ApiProblem, InvalidJson)) as caught:
        payloads(body, media_type)
    return caught.value.code, caught.value.facts().get("index")


@given(st.lists(values.map(spelled), min_size=1, max_size=6), space, space)
def test_each_payload_is_the_slice_that_was_sent(sent: list[bytes], before: bytes, after: bytes) -> None:
    items = (before + b"," + after).join(b'{"kind":"a","payload":' + one + after + b"}" for one in sent)
    array = before + b"[" + after + items + before + b"]" + after

    assert payloads(array) == sent
    assert payloads(before + b'{"jobs"' + after + b":" + array + b"}") == sent


@given(st.lists(values.map(spelled), min_size=1, max_size=6))
def test_an_array_and_lines_of_the_same_jobs_are_one_submission(sent: list[bytes]) -> None:
    items = [b'{"payload":' + one + b',"kind":"a"}' for one in sent]
    spellings = ((b"[" + b",".join(items) + b" ]", JSON), (b"\n\r\n".join(items), NDJSON))
    marks = {to_the_end(batches.read_batch(*one, "key"))[0].fingerprint for one in spellings}

    assert len(marks) == 1


def test_a_repetition_of_what_an_older_version_accepted_is_no_conflict() -> None:
    [one] = to_the_end(batches.read_batch(b'[{"payload":1,"kind":"a"}]', JSON, "key"))

    assert one.fingerprint == hashlib.sha256(b'[{"kind":"a","payload":1}]').digest()


def test_a_single_job_is_marked_by_its_value() -> None:
    marks = {
        requests.read_job(body, "key").fingerprint
        for body in (
            b'{"kind":"a","payload":{"x":1,"y":"\\u00e4"}}',
            '{"payload": {"y":"ä","x":1}, "kind":"a"}'.encode(),
        )
    }

    assert len(marks) == 1


@pytest.mark.parametrize(
    ("body", "code", "index"),
    [
        (b"", "body_required", None),
        (b"[]", "empty_batch", None),
        (b"1", "invalid_type", None),
        (b"[" + JOB, "invalid_json", None),
        (b"[" + JOB + b",", "invalid_json", None),
        (b"[" + JOB + b",]", "invalid_json", 1),
        (b"[" + JOB + b"] x", "invalid_json", None),
        (b"[" + JOB + b" " + JOB + b"]", "invalid_json", None),
        (b"[,]", "invalid_json", 0),
        (b'["', "invalid_json", 0),
        (b"[" + JOB + b",[]]", "invalid_type", 1),
        (b"[" + JOB + b',{"kind":"a","payload":NaN}]', "invalid_number", 1),
        (b"[" + JOB + b',{"kind":"a","payload":"\\ud800 "},1]', "invalid_unicode", 1),
        (b"[" + JOB + b',{"kind":"a","kind":"b"}]', "duplicate_key", 1),
        (b"[" + JOB + b',{"kind":"a","payload":' + b"[" * 40 + b"]" * 40 + b"}]", "too_deep", 1),
        (b"[" + JOB + b"," + b"[" * 100_000, "too_deep", 1),
        (b'{"jobs":[' + JOB + b'],"jobs":[]}', "duplicate_key", None),
        (b'{"jobs":[' + JOB + b'],"x":1}', "unknown_field", None),
        (b'{"jobs":[' + JOB + b"]", "invalid_json", None),
        (b'{"jobs":[' + JOB + b"]}}", "invalid_json", None),
        (b'{"jobs":{}}', "invalid_type", None),
        (b'{"j\\u006fbs":[' + JOB + b"]}", "invalid_type", None),
        (b" " * 2_000_000 + b"7", "invalid_type", None),
        (b"7" * 2_000_000, "invalid_type", None),
    ],
)
def test_what_is_no_batch_is_refused_where_it_goes_wrong(body: bytes, code: str, index: int | None) -> None:
    assert refusal(body) == (code, index)


@pytest.mark.parametrize("head", [b"[", b'{"jobs":['])
@pytest.mark.parametrize("size", [MAX_PAYLOAD_BYTES, 5_000_000])
def test_a_job_that_is_too_large_is_named_however_its_end_is_found(head: bytes, size: int) -> None:
    body = head + JOB + b',{"kind":"a","payload":"' + b"x" * size + b'"},' + JOB + b"]"

    assert refusal(body + b"}" * (len(head) > 1)) == ("payload_too_large", 1)


def test_values_are_counted_over_the_whole_batch() -> None:
    job = b'{"kind":"a","payload":[' + b"1," * 90_000 + b"0]}"
    several = MAX_BATCH_VALUES // 90_000 + 1

    assert refusal(b"[" + b",".join([job] * several) + b"]") == ("batch_too_large", None)
    assert refusal(b"\n".join([job] * several), NDJSON) == ("batch_too_large", None)
    assert len(payloads(b"[" + b",".join([job] * 2) + b"]")) == 2


def test_commas_and_brackets_in_texts_are_no_values() -> None:
    job = b'{"kind":"a","payload":"' + b'[,{\\",' * 100_000 + b'"}'

    assert len(payloads(b"[" + b",".join([job] * 16) + b"]")) == 16


def test_lines_that_are_nearly_all_blank_are_no_batch() -> None:
    assert len(payloads(b"\n" * 20_000 + JOB, NDJSON)) == 1
    assert refusal(b"\n" * 20_002 + JOB, NDJSON) == ("batch_too_large", None)


def test_the_client_sends_no_more_values_at_once_than_are_accepted() -> None:
    lines = lines_of([{"kind": "a", "payload": [1] * 90_000}] * 25)
    chunks = list(chunks_of(lines))

    assert [line for chunk in chunks for line in chunk] == lines
    assert len(chunks) == 3
    assert [len(payloads(b"\n".join(chunk), NDJSON)) for chunk in chunks] == [len(chunk) for chunk in chunks]


@pytest.mark.parametrize("head", [b"[", b'{"jobs":['])
def test_no_job_is_lost_in_much_white_space(head: bytes) -> None:
    space = b" " * 1_500_000
    tail = b"]" + b"}" * (len(head) > 1) + space
    body = space + head + space + JOB + space + b"," + space + JOB + space + tail

    assert len(payloads(body)) == 2
    assert refusal(body + b"x") == ("invalid_json", None)
