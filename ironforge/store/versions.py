"""Which versions of an application go on with a job that one of them has begun.

A kind says it, `version_policy`. Those of policy `same` have the version written into the record of a job as a run of
it ends, or may have begun and was lost; from then on nodes of other versions decline the job, as one of a kind that
they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from ironforge.errors import IronForgeError
from ironforge.job.record import RECORD_VERSION, Job
from ironforge.steps.first_run import FirstRun

# Behind the line of jobs that run alone.
SUSPECT: Final = ":a"


class OtherVersion(IronForgeError):
    """This node must not go on with the job: another version of the application has begun it."""


def begun(job: Job, same: Mapping[str, str]) -> Job:
    """The job as a node has it from when it begins to run it. `same`: the version of the node by kind, of those that
    stay with it. Raises OtherVersion."""
    version = same.get(job.kind)
    if version is None or version == job.app_version:
        return job
    if job.app_version:
        raise OtherVersion(f"version {job.app_version} of the application has begun this job, and this is {version}")
    return stays(job, version)


def stays(job: Job, version: str) -> Job:
    """The job, from now on with this version; one that has one already keeps that."""
    if job.app_version:
        return job
    return msgspec.structs.replace(job, version=RECORD_VERSION, journal=FirstRun(version, journal=bool(job.journal)))


def released(job: Job) -> Job:
    """Any version may go on with it, and that one keeps it where its kind says so."""
    return msgspec.structs.replace(job, journal=bool(job.journal))


# --------------------------------------------------------------------------- lines of declined jobs


def line_of(kind: str, version: str) -> str:
    """In which the declined jobs of a kind wait that stay with this version (empty: with none)."""
    return f"{kind}@{in_line(version)}" if version else kind


def in_line(version: str) -> str:
    """As names of lines have it: whatever a version is made of, it does not end the name."""
    return quote(version, safe="")


def split_line(line: str) -> tuple[str, str]:
    """The kind and the version."""
    kind, _, version = line.partition("@")
    return kind, unquote(version)
