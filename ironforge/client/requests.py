"""Parts of requests that several calls of the Python client have."""

from __future__ import annotations

import uuid_utils

from ironforge.client.limit_calls import JSON
from ironforge.errors import InvalidJob
from ironforge.job.record import parse_id


def new_key() -> str:
    return str(uuid_utils.uuid7())


def keyed(key: str | None) -> dict[str, str]:
    """The headers of a submission as JSON. Without a key one is made, so that it can be repeated."""
    return {**JSON, "Idempotency-Key": key or new_key()}


def id_path(of: str, what: str, text: str) -> str:
    """`/jobs/<id>`. The id is checked here, because what is none could become another path. Raises InvalidJob."""
    try:
        parse_id(text)
    except ValueError:
        raise InvalidJob(f"{text!r} is not a {what} id", code="invalid_job_id", field="id") from None
    return f"/{of}/{text}"
