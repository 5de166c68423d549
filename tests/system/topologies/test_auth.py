"""Keys, quotas and the audit trail in a cluster: everything of theirs that is done in one step lies in one slot."""

from __future__ import annotations

import contextlib
import secrets

import pytest

from ironforge.auth.quota import Quota
from ironforge.settings import Settings
from tests.auth.kit import House
from tests.support.topologies import ClusterTopology

pytestmark = pytest.mark.slow


async def test_who_may_do_what_is_asked_and_kept_across_slots(cluster: ClusterTopology) -> None:
    settings = Settings(redis_url=cluster.url, shards=3, auth="on", key_pepper=secrets.token_hex(32))
    async with contextlib.asynccontextmanager(House.build)(settings) as house:
        await house.quotas.put(house.namespace, Quota(submissions_per_second=1e-6, burst=30, stored_jobs=25))
        owner = await house.key(quota=Quota(submissions_per_second=1e-6, burst=100))
        ids = [await house.submit(owner) for _ in range(25)]
        full = await house.call("POST", "/jobs", owner, json={"kind": "demo.echo"})
        assert full.status == 429
        assert full.body["quota"] == "namespace.stored_jobs"
        assert full.body["limit"] == 25
        usage = (await house.call("GET", "/quotas", owner)).body["usage"]
        assert usage["stored_jobs"] == 25
        assert usage["in_flight"] == 25

        for job_id in ids[:10]:
            assert (await house.call("DELETE", f"/jobs/{job_id}", owner)).status == 200
        assert (await house.trail().verify())[::2] == (10, [])
        made = await house.call("POST", "/keys", owner, json={"name": "n", "scopes": ["jobs:read"]})
        assert len((await house.call("GET", "/jobs?state=queued", made.body["key"])).body["jobs"]) == 15
        assert (await house.call("DELETE", f"/keys/{made.body['id']}", owner)).status == 200
        stranger = await house.key(namespace=house.namespace + "x")
        assert (await house.call("GET", f"/jobs/{ids[-1]}", stranger)).status == 404
