"""Users of the server with few rights, as the document lists them: enough for everything, and for nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import redis

from ironforge.client.client import Client
from ironforge.redis.scripts import USERS
from tests.cli.kit import Service, eventually, ironforge
from tests.support.servers import redis_server

pytestmark = pytest.mark.unmeasured

ROOT = Path(__file__).parents[2]
README = (ROOT / "ironforge" / "docs" / "security.md").read_text(encoding="utf-8")
PEPPER = "0123456789abcdef0123456789abcdef"
APPLICATION = """
from ironforge import Context, Forge, Retry, Settings, Snooze
from ironforge.lock import Locks
import asyncio
forge = Forge()
locks = Locks(Settings(redis_url="{url}"))

@forge.job("do.echo")
async def echo(payload: int) -> int:
    return payload

@forge.job("do.fail", max_retries=0)
async def fail() -> None:
    raise ValueError("always")

@forge.job("do.retry", max_retries=3)
async def again(context: Context) -> str:
    return "well" if context.attempt > 1 else Retry(after=0.05)

@forge.job("do.long")
async def long() -> None:
    await asyncio.sleep(600)

@forge.job("do.lock")
async def locked() -> int:
    async with locks("one", ttl_seconds=5) as held:
        await held.extend(5)
        return held.fence
"""


def users() -> dict[str, list[str]]:
    """The rules of each user, as the document has them."""
    [block] = re.findall(r"```acl\n(.*?)```", README, re.DOTALL)
    rules = {}
    for line in re.findall(r"^user .*(?:\n  .*)*", block, re.MULTILINE):
        _, name, *rest = line.split()
        rules[name] = rest
    return rules


@pytest.mark.slow
def test_a_jobs_whole_life_as_users_with_few_rights(tmp_path: Path) -> None:
    with redis_server("--port", "0") as socket, redis.Redis.from_url(f"unix://{socket}") as root:
        for name, rules in users().items():
            root.execute_command("ACL", "SETUSER", name, *rules)

        def url(name: str) -> str:
            return login(name, socket)

        (tmp_path / "acl_app.py").write_text(APPLICATION.replace("{url}", url("ironforge-node")))
        common = {"key_pepper": PEPPER, "lease_seconds": "1"}
        node = {**common, "redis_url": url("ironforge-node")}
        admin = {**common, "redis_url": url("ironforge-admin")}
        scopes = "jobs:submit,jobs:read,jobs:cancel,jobs:retry,queues:admin,metrics:read,keys:admin"
        made = ironforge("keys", "create", "ops", "--scope", scopes, **admin)
        assert made.returncode == 0, (made.stderr, denials(root))
        done = ironforge("quotas", "set", "--submissions-per-second", "1000", "--stored-bytes", "100000000", **admin)
        assert done.returncode == 0, (done.stderr, denials(root))
        with (
            Service("api", "--port", "0", auth="on", redis_url=url("ironforge-api"), key_pepper=PEPPER) as api,
            Service("node", "acl_app", "--node-http-port", "0", "--concurrency", "4", cwd=tmp_path, **node),
        ):
            where = json.loads(api.logged("api is listening"))["url"]
            with Client(where, api_key=made.stdout.strip(), retries=0) as client:
                live(client, root)
        for command in (("doctor",), ("audit", "verify"), ("audit", "list"), ("keys", "list"), ("quotas", "show")):
            done = ironforge(*command, **admin)
            assert done.returncode == 0, (command, done.stdout, done.stderr, denials(root))

        assert denials(root) == []


CONFIG_GET = "+config|get"


@pytest.mark.slow
def test_durability_local_needs_one_more_right_to_accept_jobs_and_none_to_run_them(tmp_path: Path) -> None:
    options = ("--port", "0", "--appendfsync", "always")
    with redis_server(*options) as socket, redis.Redis.from_url(f"unix://{socket}") as root:
        for name, rules in users().items():
            root.execute_command("ACL", "SETUSER", name, *rules)
        url = {name: login(name, socket) for name in users()}
        (tmp_path / "acl_app.py").write_text(APPLICATION.replace("{url}", url["ironforge-node"]))
        local = {"durability": "local", "lease_seconds": "1"}
        refused = ironforge("api", "--port", "0", redis_url=url["ironforge-api"], **local)
        assert refused.returncode == 2
        assert CONFIG_GET in refused.stderr
        root.execute_command("ACL", "SETUSER", "ironforge-api", CONFIG_GET)
        root.acl_log_reset()
        with (
            Service("api", "--port", "0", redis_url=url["ironforge-api"], **local) as api,
            Service("node", "acl_app", "--node-http-port", "0", redis_url=url["ironforge-node"], cwd=tmp_path, **local),
        ):
            where = json.loads(api.logged("api is listening"))["url"]
            with Client(where, retries=0) as client:
                assert client.wait(client.submit("do.echo", 7)["id"], 60)["result"] == 7
                assert client.health()["status"] == "ok"
                assert client.health()["store"]["durability"] == "local"
        assert denials(root) == []


@pytest.mark.slow
def test_a_node_of_several_namespaces_needs_to_wake_itself(tmp_path: Path) -> None:
    with redis_server("--port", "0") as socket, redis.Redis.from_url(f"unix://{socket}") as root:
        more = ["~if:{other.0}:*", "&if:{other.0}:signals", "+client|id", "+client|unblock"]
        root.execute_command("ACL", "SETUSER", "ironforge-node", *users()["ironforge-node"], *more)
        root.execute_command("ACL", "SETUSER", "ironforge-api", *users()["ironforge-api"])
        (tmp_path / "acl_app.py").write_text(APPLICATION.replace("{url}", login("ironforge-node", socket)))
        node = {"redis_url": login("ironforge-node", socket), "namespaces": "default,other"}
        with (
            Service("api", "--port", "0", redis_url=login("ironforge-api", socket), namespace="other") as api,
            Service("node", "acl_app", "--node-http-port", "0", cwd=tmp_path, **node),
        ):
            where = json.loads(api.logged("api is listening"))["url"]
            with Client(where, retries=0) as client:
                for _ in range(3):
                    assert client.wait(client.submit("do.echo", 7)["id"], 60)["result"] == 7
        assert denials(root) == []


def login(name: str, socket: Path) -> str:
    [password] = [rule[1:] for rule in users()[name] if rule.startswith(">")]
    return f"unix://{name}:{password}@{socket}"


def live(client: Client, root: redis.Redis) -> None:
    """Everything that can happen to a job."""
    echo = client.submit("do.echo", 7)["id"]
    eventually(lambda: denials(root) or client.get(echo)["status"] == "completed", "the job to run, or to be denied")
    assert denials(root) == []
    assert client.get(echo)["result"] == 7
    assert client.wait(client.submit("do.echo", 1, delay_seconds=0.05)["id"], 20)["status"] == "completed"
    assert client.wait(client.submit("do.retry")["id"], 20)["status"] == "completed"
    locked = client.wait(client.submit("do.lock")["id"], 20)
    assert locked["status"] == "completed", locked["errors"]
    dead = client.submit("do.fail")["id"]
    assert client.wait(dead, 20)["status"] == "dead"
    client.retry(dead)
    assert client.wait(dead, 20)["status"] == "dead"
    running = client.submit("do.long")["id"]
    eventually(lambda: client.get(running)["status"] == "running", "the job to run")
    client.cancel(running)
    assert client.wait(running, 20)["status"] == "cancelled"
    client.cancel(client.submit("do.echo", 1, delay_seconds=600)["id"])
    for id_ in client.submit_many([{"kind": "do.echo", "payload": n} for n in range(50)]):
        client.wait(id_, 20)
    client.pause_queue("default")
    client.resume_queue("default")
    fair = client.submit_many([{"kind": "do.echo", "payload": n, "fairness_key": f"of-{n % 3}"} for n in range(60)])
    for id_ in fair:
        assert client.wait(id_, 60)["status"] == "completed"
    elsewhere = [client.submit("do.echo", n, queue="elsewhere", fairness_key="one")["id"] for n in range(3)]
    for id_ in reversed(elsewhere):
        assert client.cancel(id_)["status"] == "cancelled"
    assert list(client.iter_jobs())
    assert client.dlq()["jobs"]
    assert client.stats()["totals"]["completed"] > 50
    assert client.nodes()["nodes"]
    assert client.health()["status"] != "unavailable"


def denials(root: redis.Redis) -> list[Any]:
    return [(entry["username"], entry["reason"], entry["object"]) for entry in root.acl_log()]


def test_these_users_can_do_nothing_else() -> None:
    with redis_server("--port", "0") as socket, redis.Redis.from_url(f"unix://{socket}") as root:
        root.set("foreign", "x")
        for name, rules in users().items():
            root.execute_command("ACL", "SETUSER", name, *rules)
            forbidden = ["FLUSHALL", "KEYS *", "CONFIG SET appendonly no", "ACL LIST", "SHUTDOWN NOSAVE"]
            forbidden += ["REPLICAOF NO ONE", "DEBUG SLEEP 0", "MONITOR", "GET foreign", "PUBLISH foreign x"]
            forbidden += ["CONFIG GET masterauth", "CONFIG GET *", "CONFIG REWRITE", "CONFIG RESETSTAT", "ACL WHOAMI"]
            forbidden += ["CLIENT LIST", "CLIENT KILL ID 1", "CLIENT UNBLOCK 1", "CLIENT PAUSE 1", "CLIENT NO-EVICT on"]
            forbidden += ["SCRIPT FLUSH", "SCRIPT KILL", "FUNCTION FLUSH", "FUNCTION LIST", "FLUSHDB", "SWAPDB 0 1"]
            forbidden += ["MIGRATE h 1 if:{default.0}:x 0 1", "OBJECT ENCODING foreign", "SLOWLOG GET", "MODULE LIST"]
            forbidden += [
                "RANDOMKEY",
                "DBSIZE",
                "SAVE",
                "BGREWRITEAOF",
                "PSYNC a 1",
                "SYNC",
                "FAILOVER",
                "LATENCY DOCTOR",
            ]
            forbidden += ["RENAME if:{default.0}:a foreign", "COPY if:{default.0}:a foreign", "PUBSUB CHANNELS"]
            if name != "ironforge-admin":  # which looks for keys that are damaged
                forbidden += ["SCAN 0"]
            if name == "ironforge-node":
                forbidden += ["GET if:{other.0}:epoch", "HGET if:{@auth}:keys x", "PUBLISH if:{other.0}:signals x"]
                forbidden += ["SUBSCRIBE if:{other.0}:signals", "EVAL x 1 if:{other.0}:epoch", "DEL if:{@auth}:keys"]
            for command in forbidden:
                denied = root.execute_command("ACL", "DRYRUN", name, *command.split())
                assert b"permission" in denied or b"no permissions" in denied, (name, command, denied)


def test_no_script_needs_a_right_that_its_user_has_not() -> None:
    """Also those on paths that no test of theirs takes."""
    with redis_server("--port", "0") as socket, redis.Redis.from_url(f"unix://{socket}") as root:
        commands = {name.upper() for name in root.command()}
    lacking = {}
    for name, scripts in USERS.items():
        needed = set(re.findall("'([A-Z]{3,})'", "".join(script.text for script in scripts))) & commands
        rights = {rule[1:].partition("|")[0].upper() for rule in users()[f"ironforge-{name}"] if rule.startswith("+")}
        lacking[name] = sorted(needed - rights)

    assert lacking == {name: [] for name in USERS}


def test_every_script_is_somebodys() -> None:
    told = {script.name for scripts in USERS.values() for script in scripts}

    assert told == {path.stem for path in (ROOT / "ironforge" / "redis" / "lua").glob("*.lua")}


def test_every_right_is_of_use() -> None:
    sources = [*(ROOT / "ironforge").rglob("*.lua"), *(ROOT / "ironforge").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    listed = {rule[1:].upper() for rules in users().values() for rule in rules if rule.startswith("+")}
    used = {command for command in listed if re.search("""['"]""" + command.replace("|", '", "') + """['"]""", text)}

    assert listed - used == set()
