"""What is done and cannot be written down: done all the same, and its answer, a metric and the log say so."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from ironforge.auth import AUDIT_FAILED, AUDIT_HEADER
from ironforge.auth.audit import AuditTrail
from ironforge.cli.audit import caller_name
from ironforge.client.client import AsyncClient
from ironforge.redis.keys import Keys
from tests.auth.kit import Answer, House
from tests.auth.test_commands import PEPPER, Run, document, run, server  # noqa: F401 - fixtures

Call = Callable[[House, str], Awaitable[Answer]]


async def cancel(house: House, key: str) -> Answer:
    return await house.call("DELETE", f"/jobs/{await house.submit(key)}", key)


async def retry(house: House, key: str) -> Answer:
    job_id, node = await house.submit(key), await house.node()
    while (await house.call("GET", f"/jobs/{job_id}", key)).body["status"] != "dead":
        await node.bury()  # perhaps what was revived before
    return await house.call("POST", f"/jobs/{job_id}/retry", key)


async def pause(house: House, key: str) -> Answer:
    return await house.call("POST", "/queues/ours/pause", key)


async def resume(house: House, key: str) -> Answer:
    return await house.call("POST", "/queues/ours/resume", key)


async def create(house: House, key: str) -> Answer:
    return await house.call("POST", "/keys", key, json={"name": "n", "scopes": ["jobs:read"]})


async def revoke(house: House, key: str) -> Answer:
    return await house.call("DELETE", f"/keys/{(await house.key()).split('_')[1]}", key)


CALLS = (cancel, retry, pause, resume, create, revoke)


async def failures(house: House, key: str) -> float:
    page = (await house.call("GET", "/metrics", key)).body.decode()
    [line] = [line for line in page.splitlines() if line.startswith("ironforge_audit_failures_total")]
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("spoilt", ["audit", "audit_head"])
async def test_the_answer_says_so(house: House, server: str, call: Call, spoilt: str) -> None:  # noqa: F811
    key = await house.key()
    well = await call(house, key)
    assert AUDIT_HEADER not in well.headers
    assert await failures(house, key) == 0
    name = getattr(Keys(house.namespace), spoilt)
    async with redis.asyncio.Redis.from_url(house.settings.redis_url) as client:
        await client.delete(name)
        await client.lpush(name, "somebody's")
        answer = await call(house, key)

        assert answer.status == well.status
        assert answer.headers.get(AUDIT_HEADER) == AUDIT_FAILED
        assert await failures(house, key) == 1
        assert await client.type(name) == b"list"


@pytest.mark.parametrize("error", [UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), RuntimeError("?")])
async def test_whatever_the_reason(house: House, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def append(*_: Any) -> None:
        raise error

    key = await house.key()
    monkeypatch.setattr(AuditTrail, "append", append)
    answer = await cancel(house, key)

    assert answer.status == 200
    assert answer.body["status"] == "cancelled"
    assert answer.headers[AUDIT_HEADER] == AUDIT_FAILED


async def test_the_client_and_the_command_say_so_too(house: House) -> None:
    key = await house.key()
    ids = [await house.submit(key) for _ in range(3)]
    async with redis.asyncio.Redis.from_url(house.settings.redis_url) as client:
        await client.set(Keys(house.namespace).audit, "somebody's")
    async with AsyncClient(house.url, api_key=key) as client:
        assert (await client.cancel(ids[0]))["audit"] == AUDIT_FAILED
        assert (await client.pause_queue("ours"))["audit"] == AUDIT_FAILED


# --------------------------------------------------------------------------- the commands that ask the server


@pytest.mark.slow
def test_a_key_is_shown_though_its_making_is_not_on_record(run: Run, server: str) -> None:  # noqa: F811
    with redis.Redis.from_url(server) as client:
        client.set(Keys("default").audit, "somebody's")
    done = run("keys", "create", "n", "--scope", "jobs:read")
    assert done.returncode == 0
    assert done.stdout.startswith("ifk_")
    assert "not in the audit trail" in done.stderr
    made = document(run("keys", "create", "m", "--scope", "jobs:read", "--json"))
    assert made["audit"] == AUDIT_FAILED
    gone = run("keys", "revoke", made["id"])
    assert gone.returncode == 0
    assert "not in the audit trail" in gone.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ada\x1b[2J", "ada\udc80", "\u202eada"])
def test_whatever_the_environment_calls_the_operator(run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("LOGNAME", name)
    assert getpass.getuser() == name
    made = document(run("keys", "create", "n", "--scope", "jobs:read", "--json"))
    assert "audit" not in made
    [entry] = document(run("audit", "list", "--json"))["entries"]
    assert entry["who"].startswith("cli:")
    assert entry["who"].isprintable()


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("no username")])
def test_who_has_no_name_is_called_by_a_number(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """As in a container, where no file of users knows who runs there."""

    def unknown() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert caller_name() == f"cli:{os.getuid()}"


@pytest.mark.slow
def test_a_head_that_was_kept_elsewhere_tells_what_the_trail_cannot(run: Run, server: str) -> None:  # noqa: F811
    run("quotas", "set", "--stored-jobs", "1")
    run("quotas", "set", "--stored-jobs", "2")
    first = run("audit", "verify")
    assert first.returncode == 0
    assert "is whole: 2 entries" in first.stdout
    assert "--head" in first.stderr
    head = first.stdout.split("head ")[1].strip()
    anchored = run("audit", "verify", "--head", head)
    assert anchored.returncode == 0
    assert "is whole" in anchored.stdout
    assert anchored.stderr == ""
    assert document(run("audit", "verify", "--head", head, "--json"))["anchored"] is True
    with redis.Redis.from_url(server) as client:
        client.delete(Keys("default").audit, Keys("default").audit_head)

    for arguments in ((), ("--head", head)):
        done = run("audit", "verify", *arguments)
        assert done.returncode == 1
        assert "whole" not in done.stdout
        told = json.loads(run("audit", "verify", *arguments, "--json").stdout)
        assert told["entries"] == 0
        assert len(told["problems"]) == 1
    assert "had entry 2" in run("audit", "verify", "--head", head).stderr


@pytest.mark.slow
@pytest.mark.parametrize("head", ["", "2", "2:abc", "nonsense"])
def test_what_is_no_head_is_a_wrong_usage(run: Run, head: str) -> None:  # noqa: F811
    done = run("audit", "verify", "--head", head)
    assert done.returncode == 2
    assert "--head" in done.stderr
