"""`ironforge dev` from the first run to Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from ironforge import Client, Forge
from ironforge.runtime.dev import serve_dev
from ironforge.settings import load
from tests.cli.kit import Dev, Service, eventually, ironforge, processes_with
from tests.support.servers import valkey
from tests.support.topologies import free_port

pytestmark = pytest.mark.slow


def test_the_first_run_completes_a_job_that_was_submitted_over_http(dev: Dev) -> None:
    job_id = dev.submit("email.send", {"to": "ada@example.com"})
    dev.becomes(job_id, "completed")
    assert json.loads(dev.get(f"/jobs/{job_id}"))["result"] == {"sent_to": "ada@example.com"}


def test_the_banner_says_where_the_api_the_data_and_the_handlers_are(dev: Dev) -> None:
    banner = "".join(dev.stdout)
    for needed in (dev.url, "curl", "/data", "ironforge.examples.app:forge", "Ctrl-C", f"stats --url {dev.url}"):
        assert needed in banner

    assert '"kind": "email.send", "payload": {"to": "you@example.com"}' in banner
    assert "report.nightly, at 03:00 every day, Europe/Berlin" in banner


def test_the_schedule_of_the_examples_is_there_and_starts_its_job(dev: Dev) -> None:
    with Client(dev.url) as client:
        found = eventually(lambda: client.schedules()["schedules"], "the schedule")
        assert [(one["name"], one["source"], one["problem"]) for one in found] == [("report.nightly", "code", None)]
        dev.becomes(client.trigger_schedule("report.nightly")["job_id"], "completed")


@pytest.mark.parametrize(
    ("handlers", "arguments", "example"),
    [
        ("'a.b')\ndef f(x: int): ...\n@forge.job('c.d')\ndef g(y: int = 1): ...", (), '{"kind": "c.d"}'),
        ("'a.b')\ndef f(x: int): ...", (), '{"kind": "a.b", "payload": …}'),
        ("'email.send')\ndef f(x: int): ...", (), '{"kind": "email.send", "payload": …}'),
        ("'a.b')\ndef f(): ...", ("--no-node",), '{"kind": "KIND", "payload": …}'),
    ],
)
def test_the_banner_suggests_what_the_application_has_and_no_password(tmp_path, handlers, arguments, example) -> None:
    (tmp_path / "shop.py").write_text(f"from ironforge import Forge\nforge = Forge()\n@forge.job({handlers}\n")
    with valkey() as url:
        with redis.Redis.from_url(url) as client:
            client.config_set("requirepass", "hush")
        with Dev(tmp_path, "shop", *arguments, redis_url=f"{url}?password=hush") as dev:
            banner = "".join(dev.stdout)
            dev.signal(signal.SIGTERM)
            assert dev.ended() == 0
    assert example in banner
    assert url in banner
    assert "hush" not in banner + "".join(dev.stderr)


def test_the_command_line_talks_to_the_port_that_the_api_was_given(dev: Dev) -> None:
    host, port = urlsplit(dev.url).netloc.split(":")
    done = ironforge("stats", "--json", http_host=host, http_port=port)
    assert done.returncode == 0
    assert ironforge("stats", "--url", dev.url, http_port="1", url="http://127.0.0.1:1").returncode == 0


def test_the_banner_holds_in_a_terminal_without_the_environment_of_this_one(tmp_path: Path) -> None:
    port = free_port()
    with Service("dev", "--no-node", "--data-dir", str(tmp_path / "data"), http_port=str(port)) as dev:
        expected = f"ironforge stats --url http://127.0.0.1:{port}"
        assert eventually(lambda: expected in "".join(list(dev.stdout)), "the banner")


def test_the_first_job_has_what_its_kind_says(tmp_path: Path) -> None:
    """Submitted as soon as anything listens: the node has announced its kinds by then."""
    (tmp_path / "shop.py").write_text(
        "from ironforge import Forge, Use\nforge = Forge()\nforge.limit('one', concurrency=1)\n"
        "@forge.job('sell', priority='high', limits=[Use('one', key='customer')])\n"
        "async def sell(customer: str): return customer\n"
    )
    port = free_port()
    url, arguments = f"http://127.0.0.1:{port}", ("--port", str(port), "--data-dir", str(tmp_path / "data"))
    with Service("dev", "shop", *arguments, cwd=tmp_path), Client(url) as client:
        eventually(lambda: listens(port), "the API to listen")
        job = client.get(client.submit("sell", {"customer": "ada"})["id"])
    assert (job["priority"], [limit["key"] for limit in job["limits"]]) == ("high", ["ada"])


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def test_metrics_show_the_jobs_of_the_node_and_the_depths_of_the_queues(dev: Dev) -> None:
    dev.becomes(dev.submit("demo.noop"), "completed")

    def shown() -> bool:
        text = dev.get("/metrics").decode()
        return (
            'ironforge_jobs_submitted_total{kind="demo.noop",priority="medium"}' in text
            and 'ironforge_jobs_completed_total{kind="demo.noop"}' in text
            and 'ironforge_queue_depth{priority="medium",queue="default"}' in text
            and "ironforge_dlq_depth" in text
        )

    assert eventually(shown, "the metrics")


def test_jobs_that_were_queued_before_a_stop_run_after_the_next_start(tmp_path: Path) -> None:
    with Dev(tmp_path) as first:
        job_id = first.submit("demo.echo", [1], queue="later")
        first.signal(signal.SIGTERM)
        assert first.ended() == 0
    with Dev(tmp_path, "--queues", "later") as second:
        second.becomes(job_id, "completed")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "closed terminal"])
def test_its_end_lets_a_running_job_finish_and_leaves_nothing_behind(tmp_path: Path, end: signal.Signals) -> None:
    with Dev(tmp_path) as dev:
        job_id = dev.submit("demo.sleep", {"seconds": 1.0})
        dev.becomes(job_id, "running")
        dev.signal(end)
        assert dev.ended() == 0
    assert "Traceback" not in "".join(dev.stderr)
    assert processes_with(str(tmp_path)) == []
    with Dev(tmp_path) as again:
        assert again.status(job_id) == "completed"


def test_a_second_ctrl_c_hands_running_jobs_back_at_once(tmp_path: Path) -> None:
    with Dev(tmp_path) as dev:
        job_id = dev.submit("demo.sleep", {"seconds": 600})
        dev.becomes(job_id, "running")
        dev.signal(signal.SIGINT)
        dev.logged("draining")
        dev.signal(signal.SIGINT)
        assert dev.ended() == 0
    assert processes_with(str(tmp_path)) == []
    with Dev(tmp_path, "--queues", "other") as again:
        assert again.status(job_id) == "queued"


def test_a_port_in_use_is_a_message_and_leaves_no_server_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = ironforge("dev", "--port", port, "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "joined the cluster" not in done.stderr, "no job runs before"
    assert processes_with(str(tmp_path)) == []


def test_a_data_folder_in_use_is_a_message(tmp_path: Path) -> None:
    with Dev(tmp_path):
        done = ironforge("dev", "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 2
    assert "uses the data folder" in done.stderr


def test_an_address_that_others_can_reach_needs_consent(tmp_path: Path) -> None:
    done = ironforge("dev", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 2
    assert "--i-understand-no-auth" in done.stderr
    with Dev(tmp_path, "--host", "0.0.0.0", "--i-understand-no-auth") as dev:
        assert dev.url.startswith("http://0.0.0.0:")


def test_with_a_server_of_ones_own_no_server_is_started(tmp_path: Path, server: str) -> None:
    with Dev(tmp_path, "--redis-url", server, "--namespace", "own-server") as dev:
        dev.becomes(dev.submit("demo.noop"), "completed")
    assert not (tmp_path / "data").exists()


async def test_inside_a_program_it_runs_until_a_signal_comes(tmp_path: Path) -> None:
    settings = load({}, data_dir=str(tmp_path / "data"), http_port=0, concurrency=1)

    def on_ready(url: str) -> None:
        assert url.startswith("http://127.0.0.1:")
        os.kill(os.getpid(), signal.SIGTERM)

    assert await serve_dev(Forge(), settings, on_ready=on_ready) == 0
    assert processes_with(str(tmp_path)) == []


async def test_what_nohup_started_does_not_hear_that_its_terminal_is_closed(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    seen = []

    def on_ready(_url: str) -> None:
        seen.append(signal.getsignal(signal.SIGHUP))
        os.kill(os.getpid(), signal.SIGTERM)

    try:
        await serve_dev(None, load({}, data_dir=str(tmp_path / "data"), http_port=0), on_ready=on_ready)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert seen == [signal.SIG_IGN]


async def test_a_signal_while_the_server_starts_ends_it(tmp_path: Path) -> None:
    settings = load({}, data_dir=str(tmp_path / "data"), http_port=0)
    running = asyncio.create_task(serve_dev(Forge(), settings))
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    assert await running == 0
    assert processes_with(str(tmp_path)) == []
