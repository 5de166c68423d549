"""The options of a job once they are checked, and the records that are made with them."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ironforge.job.limits_option import limits_in
from ironforge.job.record import FIRST_VERSION, Job, created_ms_of, new_id
from ironforge.job.unique_option import check_wait, key_in


class CheckedOptions(NamedTuple):
    """In record units: `record` is that of a job with these options, and nothing else in it; when the job may start is
    counted from its submission, or Unix time, and when it expires from its submission (0: never)."""

    record: Job
    delay_ms: int | None = None
    run_at_ms: int | None = None
    expires_in_ms: int = 0
    # Keys are the kind's: paths into the payload.
    unique_by_path: bool = False
    limits_by_path: bool = False

    def job(self, kind: str, payload: bytes, job_id: bytes | None = None, tail: int | None = None) -> Job:
        """The record of a new job of a checked kind and payload. Without `job_id` one is made, with this tail. Raises
        InvalidJob when the payload has no key where its kind says."""
        template = self._with_keys(payload) if self.record.version > FIRST_VERSION else self.record
        job_id = new_id(tail) if job_id is None else job_id
        created_ms = created_ms_of(job_id)
        ready_ms = created_ms + self.delay_ms if self.delay_ms else self.run_at_ms or 0
        return msgspec.structs.replace(
            template, id=job_id, kind=kind, payload=payload, created_ms=created_ms, ready_ms=ready_ms
        )

    def _with_keys(self, payload: bytes) -> Job:
        """`record` with the keys of its limits and its unique key, which the payload may have."""
        template, unique = self.record, self.record.unique
        decoded = msgspec.json.decode(payload) if self.limits_by_path or self.unique_by_path else None
        if self.limits_by_path:
            template = msgspec.structs.replace(template, limits=limits_in(decoded, template.limits))
        if unique is not None:
            check_wait(unique, self.delay_ms)
            if self.unique_by_path:
                unique = msgspec.structs.replace(unique, key=key_in(decoded, unique.key))
                template = msgspec.structs.replace(template, unique=unique)
        return template
