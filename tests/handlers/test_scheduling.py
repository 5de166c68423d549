"""Schedules that an application defines."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from ironforge import ConfigError, Forge, Unique, Use
from ironforge.handlers.announcements import schedules_of
from ironforge.job.record import Priority
from ironforge.job.request import JobRequest
from ironforge.schedules.definition import CatchUp, Schedule
from ironforge.workflows import chain, dag, node

WEEKDAYS = "0 9 * * 1-5"


def job(kind: str = "report", payload: bytes = b"null", **options: Any) -> JobRequest:
    return JobRequest(kind=kind, payload=msgspec.Raw(payload), **options)


def with_report(**options: Any) -> tuple[Forge, Callable[..., Any]]:
    forge = Forge()

    @forge.job("report", **options)
    async def report(month: int = 1) -> None:
        """Stands for one."""

    return forge, report


def test_a_handler_runs_at_the_times_of_a_line_under_the_name_of_its_kind() -> None:
    forge, report = with_report()
    assert forge.cron(WEEKDAYS, timezone="Europe/Berlin")(report) is report
    assert forge.schedules == {"report": Schedule(cron=(WEEKDAYS,), timezone="Europe/Berlin", job=job())}


def test_one_handler_has_several_schedules_with_payloads_and_options_of_their_jobs() -> None:
    forge, report = with_report()
    forge.cron("0 0 1 1 *", name="yearly", payload={"month": 12}, queue="slow", priority=Priority.LOW)(report)
    forge.cron("0 8 * * *", "0 12 * * *", overlap="queue_one", catch_up={"policy": "all"})(report)
    assert forge.schedules == {
        "yearly": Schedule(cron=("0 0 1 1 *",), job=job(payload=b'{"month":12}', queue="slow", priority="low")),
        "report": Schedule(
            cron=("0 8 * * *", "0 12 * * *"), overlap="queue_one", catch_up=CatchUp(policy="all"), job=job()
        ),
    }


def test_python_writes_times_and_durations_in_its_own_way() -> None:
    forge, report = with_report()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    forge.schedule(
        "one", report, every_seconds=timedelta(minutes=1), start=start, jitter_seconds=5, exclude="* 3 * * *"
    )
    forge.schedule("two", "theirs", [1], cron=WEEKDAYS, end="2030-01-01T00:00:00Z", retain_seconds=timedelta(days=1))
    assert forge.schedules == {
        "one": Schedule(every_seconds=60.0, start=start, jitter_seconds=5.0, exclude=("* 3 * * *",), job=job()),
        "two": Schedule(
            cron=(WEEKDAYS,), end=datetime(2030, 1, 1, tzinfo=UTC), job=job("theirs", b"[1]", retain_seconds=86_400.0)
        ),
    }


def test_a_decorator_without_its_line_is_refused_at_once() -> None:
    forge, report = with_report()
    with pytest.raises(ConfigError, match=r"@forge.cron takes cron lines, not <function .*: write @forge.cron\("):
        forge.cron(report)  # type: ignore[arg-type]
    assert forge.schedules == {}


def test_limits_and_unique_keys_of_the_job() -> None:
    forge, report = with_report()
    forge.cron(WEEKDAYS, limits=[Use("printer", key="a")], unique=Unique("monthly"))(report)
    assert forge.schedules["report"].job == job(limits=[Use("printer", key="a")], unique=Unique("monthly"))


def test_functions_of_every_way_to_run() -> None:
    forge = Forge()

    @forge.cron(WEEKDAYS)
    @forge.job("in.a.thread")
    def block() -> None:
        """Stands for one."""

    forge.cron(WEEKDAYS)(forge.job("in.a.process", executor="process")(in_a_process))
    assert [*forge.schedules] == ["in.a.thread", "in.a.process"]


def in_a_process() -> None:
    """Stands for one."""


@pytest.mark.parametrize(
    ("lines", "given", "words"),
    [
        ((), {}, "neither cron nor every_seconds"),
        (
            ("0 25 * * *",),
            {},
            r"^@forge\.cron above the @forge\.job of tests\..*report: cron\[0\]: .* hour: 25 is out of",
        ),
        (("0 9 30 2 *",), {}, r"cron\[0\]: .* never fires"),
        ((WEEKDAYS,), {"timezone": "Europe/Bern"}, "timezone"),
        ((WEEKDAYS,), {"start": datetime(2026, 1, 1)}, "start .* has no time zone"),  # noqa: DTZ001
        ((WEEKDAYS,), {"overlap": "skp"}, "overlap: Invalid enum value"),
        ((WEEKDAYS,), {"catch_up": {"most": "3"}}, "catch_up.most: Expected `int`"),
        ((WEEKDAYS,), {"catch_up": {"mst": 3}}, "did you mean `most`"),
        ((WEEKDAYS,), {"run_at": datetime(2026, 1, 1, tzinfo=UTC)}, "job.run_at"),
        ((WEEKDAYS,), {"priority": "urgent"}, "job.priority"),
        ((WEEKDAYS,), {"name": "no name"}, "'no name' is not a name"),
        ((WEEKDAYS,), {"payload": {"month": "May"}}, "month"),
        ((WEEKDAYS,), {"payload": object()}, "cannot be sent as JSON"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_as_modules_load(
    lines: tuple[str, ...], given: dict[str, Any], words: str
) -> None:
    forge, report = with_report()
    with pytest.raises(ConfigError, match=words):
        forge.cron(*lines, **given)(report)
    assert forge.schedules == {}


def test_a_payload_without_the_key_that_its_kind_asks_for() -> None:
    forge, report = with_report(unique=Unique("month"))
    with pytest.raises(ConfigError, match=r"^schedule 'report': .*month"):
        forge.schedule("report", report, {}, cron=WEEKDAYS)


def test_an_option_that_there_is_not() -> None:
    forge, report = with_report()
    with pytest.raises(TypeError, match="did you mean 'timezone'"):
        forge.schedule("report", report, cron=WEEKDAYS, time_zone="UTC")  # type: ignore[call-arg]


def test_a_decorator_below_the_one_that_makes_a_handler() -> None:
    with pytest.raises(ConfigError, match=r"above the @forge\.job .* is no handler"):
        Forge().cron(WEEKDAYS)(in_a_process)


def test_two_schedules_of_one_name() -> None:
    forge, report = with_report()
    forge.cron(WEEKDAYS)(report)
    with pytest.raises(ConfigError, match="'report' is defined twice: give one of them another name"):
        forge.cron("0 10 * * *")(report)


def test_none_is_defined_once_a_node_runs() -> None:
    forge, report = with_report()
    forge.freeze()
    with pytest.raises(ConfigError, match="no more registrations"):
        forge.cron(WEEKDAYS)(report)


def test_a_workflow_as_it_is_built_is_started_too() -> None:
    forge, _ = with_report()
    built = dag("reports", chain(node("report", {"month": 1}, id="one"), node("report", {"month": 2}, id="two")))
    forge.schedule("reports", workflow=built, cron=WEEKDAYS, overlap="queue_one")
    assert forge.schedules == {"reports": Schedule(cron=(WEEKDAYS,), overlap="queue_one", workflow=built)}
    [announced] = schedules_of(forge)
    assert announced.name == "reports"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "neither a kind nor a workflow"),
        ({"workflow": {"name": "w", "nodes": []}}, "schedule 'reports': workflow.nodes: there are 0"),
        ({"workflow": {"name": "w", "nodes": [{"id": "a", "kind": 1}]}}, "workflow.nodes[0].kind: Expected"),
    ],
)
def test_what_is_wrong_with_a_workflow_is_told_with_its_place(given: dict[str, Any], told: str) -> None:
    forge, _ = with_report()
    with pytest.raises(ConfigError, match=re.escape(told)):
        forge.schedule("reports", cron=WEEKDAYS, **given)


def test_a_payload_of_a_node_that_its_handler_does_not_take() -> None:
    forge, _ = with_report()
    forge.schedule("reports", workflow=dag("reports", node("report", {"month": "May"}, id="one")), cron=WEEKDAYS)
    with pytest.raises(ConfigError, match=r"schedule 'reports': .*month"):
        schedules_of(forge)


def test_a_kind_beside_a_workflow() -> None:
    forge, report = with_report()
    with pytest.raises(ConfigError, match="both a kind and a workflow"):
        forge.schedule("reports", report, workflow=dag("reports", node("report")), cron=WEEKDAYS)
