"""What the Python client sends: jobs as JSON, and many of them in chunks.

A payload is encoded by itself, so that whatever cannot be sent is named before anything has been.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from ironforge.codes import Code
from ironforge.errors import SerializationError
from ironforge.job.checks import MAX_BATCH_VALUES, most_values
from ironforge.job.json_values import encode, encode_payload
from ironforge.job.options import in_words_of_json

# What the API accepts in one batch, with room below its limit for the line ends.
CHUNK_JOBS: Final = 10_000
CHUNK_BYTES: Final = 15 * 1_048_576


def job_body(fields: Mapping[str, Any]) -> bytes:
    """The body of one submission. Raises SerializationError."""
    given = {name: in_words_of_json(value) for name, value in fields.items() if value is not None and name != "payload"}
    options = encode(given, "job")
    payload = encode_payload(fields.get("payload"))
    return b'{"payload":%b%b%b' % (payload, b"," if given else b"", options[1:])


def lines_of(jobs: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """One body a job. Raises SerializationError, which names the job that it is about."""
    lines = []
    for index, fields in enumerate(jobs):
        try:
            lines.append(job_body(fields))
        except SerializationError as error:
            raise SerializationError(
                f"job {index}: {error}", code=cast("Code", error.code), field=f"[{index}].{error.field}"
            ) from None
    return lines


def chunks_of(lines: list[bytes]) -> Iterator[list[bytes]]:
    """As many at a time as the API accepts."""
    chunk: list[bytes] = []
    size = values = 0
    for line in lines:
        size += len(line) + 1
        values += most_values(line)
        if chunk and (len(chunk) == CHUNK_JOBS or size > CHUNK_BYTES or values > MAX_BATCH_VALUES):
            yield chunk
            chunk, size, values = [], len(line) + 1, most_values(line)
        chunk.append(line)
    if chunk:
        yield chunk
