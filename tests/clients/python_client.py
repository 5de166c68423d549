"""What a service in Python writes with the client of openapi-python-client: type-checked strictly, run by the test."""

from __future__ import annotations

import json
import sys

from generated import Client
from generated.api.jobs import get_job, list_jobs, retry_job, submit_batch, submit_job
from generated.models import AcceptedBatch, AcceptedJob, JobAnswer, JobPage, JobRequest, Problem, RetryRequest


def main(url: str) -> None:
    client = Client(base_url=url)
    job = JobRequest(kind="demo.echo")
    accepted = submit_job.sync(client=client, body=job)
    assert isinstance(accepted, AcceptedJob)
    batch = submit_batch.sync(client=client, body=[job, JobRequest(kind="demo.echo", payload=[1, None])])
    assert isinstance(batch, AcceptedBatch)
    got = get_job.sync(accepted.id, client=client)
    assert isinstance(got, JobAnswer)
    listed = list_jobs.sync(client=client, kind="demo.echo", limit=10)
    assert isinstance(listed, JobPage)
    refused = retry_job.sync_detailed(accepted.id, client=client, body=RetryRequest())
    assert isinstance(refused.parsed, Problem)
    answer = {
        "ids": [str(accepted.id), *map(str, batch.ids)],
        "kind": got.kind,
        "listed": [str(one.id) for one in listed.jobs],
        "refused": [refused.status_code, refused.parsed.code.value, False],
    }
    sys.stdout.write(json.dumps(answer))


main(sys.argv[1])
