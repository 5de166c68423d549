"""Lesson 8: let in those with a key, each to its own."""

from __future__ import annotations

import json

import pytest

from ironforge import Client, Forge, IronForgeError

# With authentication every call needs a key. The pepper is a secret of the installation that keys are sealed with.
ENVIRONMENT = {"IRONFORGE_AUTH": "on", "IRONFORGE_KEY_PEPPER": "0123456789abcdef0123456789abcdef"}
forge = Forge()


@forge.job("invoice.pay")
async def pay(number: int) -> int:
    return number


@pytest.fixture(scope="module")
def create_key(redis_url, ironforge):
    """`ironforge keys create NAME --scope …`, run by the operator, who can reach the server and knows the pepper."""
    secrets = {"redis_url": redis_url, "key_pepper": ENVIRONMENT["IRONFORGE_KEY_PEPPER"]}
    return lambda *arguments: json.loads(ironforge("keys", "create", *arguments, "--json", **secrets).stdout)["key"]


def test_without_a_key_nothing_is_done(client):
    with pytest.raises(IronForgeError, match="401"):
        client.submit("invoice.pay", {"number": 1})


def test_a_key_opens_what_its_scopes_say(url, create_key):
    key = create_key("shop", "--scope", "jobs:submit,jobs:read")
    # The command line takes it from IRONFORGE_API_KEY, and so does the client when it is not told another one.
    with Client(url, api_key=key) as shop:
        job_id = shop.submit("invoice.pay", {"number": 7})["id"]
        assert shop.wait(job_id)["result"] == 7
        # To cancel is a scope of its own, and the answer names it.
        with pytest.raises(IronForgeError, match="jobs:cancel"):
            shop.cancel(job_id)


def test_a_key_may_be_for_some_queues_alone(url, create_key):
    key = create_key("mailer", "--scope", "jobs:submit", "--queue", "mail")
    with Client(url, api_key=key) as mailer, pytest.raises(IronForgeError, match="403"):
        mailer.submit("invoice.pay", {"number": 7}, queue="default")
