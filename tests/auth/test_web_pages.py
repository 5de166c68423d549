"""With authentication an API has any name, and pages of other sites are kept out all the same."""

from __future__ import annotations

from tests.auth.kit import House

CHANGING = (
    ("POST", "/jobs"),
    ("POST", "/queues/default/pause"),
    ("DELETE", "/jobs/0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50"),
    ("POST", "/keys"),
    ("DELETE", "/keys/0123456789ab"),
)


async def test_with_authentication_names_are_free_and_pages_of_other_sites_are_not(house: House) -> None:
    key = await house.key()
    named = await house.call("GET", "/jobs", key, headers={"Host": "jobs.example"})
    for method, path in CHANGING:
        foreign = await house.call(method, path, key, headers={"Origin": "https://evil.example"})
        assert foreign.status == 403
        assert foreign.code == "cross_site_request"
    headers = {"Host": "jobs.example", "Origin": "https://jobs.example"}

    assert named.status == 200
    assert (await house.call("POST", "/jobs", key, json={"kind": "a"}, headers=headers)).status == 201, "a TLS proxy"
