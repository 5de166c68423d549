"""The examples do what they say."""

from __future__ import annotations

import ast
import asyncio
import importlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ironforge import examples
from ironforge.examples import app, lifecycle, many_kinds
from ironforge.execution.executor import Ending, Executor, Interrupt, Outcome
from ironforge.handlers.forge import Forge
from ironforge.job.record import decode
from ironforge.job.tick import JobTick
from ironforge.schedules.words import words
from ironforge.settings import Settings
from tests.execution.kit import last_error, record
from tests.execution.steps.kit import MemoryJournal

FILES = sorted(path for path in Path(examples.__path__[0]).glob("*.py") if path.stem != "__init__")
RUNNABLE = ["batch_submit", "benchmark", "lifecycle", "many_kinds", "simple_worker", "submit_jobs", "submit_workflows"]


@pytest.fixture(params=["app", "many_kinds"])
async def executor(request: pytest.FixtureRequest) -> AsyncIterator[Executor]:
    forge: Forge = importlib.import_module(f"ironforge.examples.{request.param}").forge
    made = Executor(forge, Settings(), "node-1")
    yield made
    await made.close()


only_app = pytest.mark.parametrize("executor", ["app"], indirect=True)
only_many_kinds = pytest.mark.parametrize("executor", ["many_kinds"], indirect=True)


async def run(executor: Executor, kind: str, payload: bytes = b"null", **changes: Any) -> Outcome:
    return await executor.run(executor.prepare(record(payload, kind, **changes)))


async def result(executor: Executor, kind: str, payload: bytes = b"null", **changes: Any) -> bytes:
    return decode((await run(executor, kind, payload, **changes)).record).result


def test_the_examples_are_there():
    assert set(RUNNABLE) <= {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_says_how_to_run_it_and_is_short(path):
    text = path.read_text()
    documentation = ast.get_docstring(ast.parse(text)) or ""
    command = "ironforge dev" if path.stem == "app" else f"python -m ironforge.examples.{path.stem}"
    assert any(line.startswith("    ") and command in line for line in documentation.splitlines())
    assert path.stem == "app" or len(text.splitlines()) <= 60


def test_the_application_of_dev_has_every_promised_kind():
    promised = {
        "demo": ("echo", "noop", "sleep", "fail", "flaky", "cpu", "blocking"),
        "order": ("fulfil", "charge", "approve", "ship", "refund"),
        "photo": ("fetch", "scale"),
        "album": ("merge",),
        "email": ("send",),
        "report": ("nightly",),
    }
    assert set(app.forge.kinds) == {f"{of}.{name}" for of, names in promised.items() for name in names}


@only_app
@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        ("email.send", b'{"to":"ada@example.com"}', b'{"sent_to":"ada@example.com"}'),
        ("demo.echo", b'[1,{"a":null}]', b'[1,{"a":null}]'),
        ("demo.noop", b"null", b"null"),
        ("demo.sleep", b'{"seconds":0}', b"0.0"),
        ("demo.cpu", b'{"below":100}', b"25"),
        ("demo.cpu", b'{"below":2}', b"0"),
        ("demo.blocking", b'{"seconds":0.01}', b'"blocked for 0.01 s"'),
        ("photo.fetch", b'{"url":"https://example.com/cat.jpg"}', b'{"file":"cat.jpg"}'),
        ("photo.scale", b'{"file":"cat.jpg","width":100}', b'"100/cat.jpg"'),
        ("album.merge", b'{"pages":["a","b"]}', b'{"pages":["a","b"],"count":2}'),
        (
            "order.ship",
            b'{"order":"42","approved_by":"ada"}',
            b'"the parcel of order 42 is on its way, as ada has approved"',
        ),
        (
            "order.refund",
            b'{"workflow":"w","node":"charge","payload":null,"result":{"cents":5}}',
            b'"5 cents were paid back"',
        ),
    ],
)
async def test_a_kind_of_dev_completes(executor, kind, payload, expected):
    assert await result(executor, kind, payload) == expected


@only_app
async def test_an_order_is_shipped_once_it_is_approved_and_paid_back_when_nobody_answers(executor):
    async def fulfil(fence: int) -> Outcome:
        attempt = executor.prepare(record(b'{"order":"42"}', "order.fulfil", fence=fence))
        attempt.stepping = executor.steps(attempt, journal)
        attempt.open_steps = lambda _: attempt.stepping
        return await executor.run(attempt)

    shipped, journal = [], MemoryJournal()
    for fence, awaited in enumerate(["approved:42", "regret"]):
        assert (await fulfil(fence)).ending is Ending.WAITING
        journal.end(awaited, b'{"by":"ada"}')
        shipped = list(journal.entries)
    assert decode((await fulfil(2)).record).result == b'"the parcel of order 42 is on its way, as ada has approved"'
    assert shipped == ["charge", "approved:42", "regret"]

    journal = MemoryJournal()
    await fulfil(0)
    journal.end("approved:42", b"")
    assert decode((await fulfil(1)).record).result == b'"1999 cents were paid back: nobody has approved order 42"'
    assert list(journal.entries) == ["charge", "approved:42", "refund"]


@only_app
async def test_a_report_is_of_the_day_before_its_tick(executor):
    tick = JobTick("report.nightly", 1_782_867_600_000)  # 2026-07-01, 03:00 in Berlin
    assert await result(executor, "report.nightly", tick=tick) == b'"report of 2026-06-30"'
    before = yesterday()
    assert await result(executor, "report.nightly") in {f'"report of {day}"'.encode() for day in (before, yesterday())}


def yesterday() -> date:
    """In Berlin. It may be another day at the next call."""
    return datetime.now(ZoneInfo("Europe/Berlin")).date() - timedelta(days=1)


def test_a_report_is_made_each_night():
    assert {name: words(schedule) for name, schedule in app.forge.schedules.items()} == {
        "report.nightly": "at 03:00 every day, Europe/Berlin"
    }


@only_app
async def test_a_flaky_job_fails_as_often_as_it_was_told(executor):
    endings = [(await run(executor, "demo.flaky", b'{"failures":2}', attempt=failed)).ending for failed in range(3)]
    assert endings == [Ending.FAILED, Ending.FAILED, Ending.COMPLETED]


@only_app
async def test_a_failing_job_fails_with_its_message(executor):
    assert last_error(await run(executor, "demo.fail", b'{"message":"boom"}')).message == "boom"


@only_app
async def test_a_blocking_job_stops_when_it_is_cancelled(executor):
    attempt = executor.prepare(record(b'{"seconds":60}', "demo.blocking"))
    task = asyncio.create_task(executor.run(attempt))
    while attempt.context is None:
        await asyncio.sleep(0)
    attempt.interrupt = Interrupt.CANCEL
    task.cancel()
    assert (await task).ending is Ending.CANCELLED
    assert attempt.context.cancel_requested


@only_many_kinds
async def test_many_kinds_shows_types_verdicts_and_processes(executor):
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date()
    invoice = b'{"customer":"Ada","due":"%s","cents":%d}'
    sent = await result(executor, "invoice.send", invoice % (str(tomorrow).encode(), 100))
    late = await run(executor, "invoice.send", invoice % (b"2001-01-01", 100))
    wrong = await run(executor, "invoice.send", invoice % (b"2001-01-01", 0))
    again = await run(executor, "report.import", b'{"url":"http://example.com"}')
    assert b'"customer":"Ada"' in sent
    assert [late.ending, wrong.ending] == [Ending.DEAD, Ending.FAILED]
    assert "cents: Expected `int` >= 1" in last_error(wrong).message
    assert again.ending == Ending.FAILED
    assert again.delay_ms == 60_000
    assert len(await result(executor, "file.digest", b'{"text":"a","rounds":1}')) == 64 + 2


def test_many_kinds_has_its_own_backoff():
    assert many_kinds.forge.handler("invoice.send").backoff.base_seconds == 10.0


async def test_lifecycle_hands_its_outbox_to_handlers_and_hooks():
    outbox = lifecycle.Outbox()
    executor = Executor(lifecycle.forge, Settings(), "node-1", dict.fromkeys(lifecycle.forge.lifespans, outbox))
    attempt = executor.prepare(record(b"{}", "order.confirm", attempt=3))
    await run(executor, "order.confirm", b'{"customer":"ada@example.com"}')
    await executor.run(attempt)
    assert executor.hooks is not None
    executor.hooks.ended(attempt)
    await executor.close()
    assert outbox.sent[0] == "ada@example.com: thank you for your order"
    assert outbox.sent[1].startswith("operator@example.com: order.confirm ")
    assert "is dead: gave up after 4 failed attempts" in outbox.sent[1]
