"""An application logs as if it were alone: its lines come out as it says, ours as the settings say, and each once."""

from __future__ import annotations

import contextvars
import json
import logging
import logging.config
import sys
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from ironforge.job.context import Context, running
from ironforge.job.record import new_id
from ironforge.logs import handlers
from ironforge.logs.setup import configure_logging, get_logger
from ironforge.redis.outages import retry_through_outage
from ironforge.settings import Settings

pytestmark = pytest.mark.usefixtures("own_logging")

SETTINGS = Settings(log_format="json")


class Run:
    def __init__(self) -> None:
        self.context = Context(new_id(), "email.send", 2, 0, 30.0)

    def fail(self, _: BaseException) -> bool:
        return False


def in_a_run(function: Callable[..., Any], *arguments: Any) -> str:
    """Called as a handler would call it; the id of its job."""
    run, context = Run(), contextvars.copy_context()
    context.run(running.set, run)
    context.run(function, *arguments)
    return run.context.id


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def log_both() -> None:
    logging.getLogger("shop").info("theirs")
    logging.getLogger("ironforge.actors.leaseholder").info("ours")
    get_logger("ironforge.api").info("ours too")


def fields(line: str) -> tuple[str, str]:
    event = json.loads(line)
    return event["logger"], event["event"]


OURS = [("ironforge.actors.leaseholder", "ours"), ("ironforge.api", "ours too")]


def basic() -> None:
    logging.basicConfig(level=logging.DEBUG, format="SHOP %(message)s")


def by_force() -> None:
    logging.basicConfig(level=logging.INFO, format="SHOP %(message)s", force=True)


def by_dict() -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "formatters": {"shop": {"format": "SHOP %(message)s"}},
            "handlers": {"shop": {"class": "logging.StreamHandler", "formatter": "shop"}},
            "loggers": {"shop": {}},
            "root": {"level": "INFO", "handlers": ["shop"]},
        }
    )


@pytest.mark.parametrize("configure", [basic, by_force, by_dict])
def test_an_application_that_configures_logging_as_it_is_loaded_gets_its_lines_its_way(capsys, configure):
    logging.getLogger("ironforge.actors.leaseholder")
    configure()
    configure_logging(SETTINGS)
    log_both()
    theirs, *ours = lines(capsys)
    assert theirs == "SHOP theirs"
    assert [fields(line) for line in ours] == OURS


@pytest.mark.parametrize("configure", [by_force, by_dict])
def test_an_application_that_configures_logging_later_gets_its_lines_its_way_too(capsys, configure):
    configure_logging(SETTINGS)
    configure()
    handlers.settle()
    log_both()
    theirs, *ours = lines(capsys)
    assert theirs == "SHOP theirs"
    assert [fields(line) for line in ours] == OURS


def test_an_application_that_only_asks_for_basics_later_has_them_already(capsys):
    configure_logging(SETTINGS)
    basic()
    log_both()
    assert [fields(line) for line in lines(capsys)] == [("shop", "theirs"), *OURS]


def test_the_level_of_the_application_is_for_its_own_lines(capsys):
    basic()
    configure_logging(Settings(log_format="json", log_level="warning"))
    log_both()
    assert lines(capsys) == ["SHOP theirs"]
    logging.getLogger().setLevel(logging.CRITICAL)
    logging.getLogger("ironforge.actors.leaseholder").warning("ours")
    assert [fields(line) for line in lines(capsys)] == [("ironforge.actors.leaseholder", "ours")]


def test_a_handler_that_writes_elsewhere_hears_of_everything(capsys, tmp_path):
    logging.basicConfig(filename=tmp_path / "log", format="%(name)s")
    configure_logging(SETTINGS)
    logging.getLogger("shop").warning("theirs")
    logging.getLogger("ironforge.actors.leaseholder").warning("ours")
    logging.getLogger().handlers[0].close()
    assert (tmp_path / "log").read_text().splitlines() == ["shop", "ironforge.actors.leaseholder"]
    assert [fields(line) for line in lines(capsys)] == [("shop", "theirs"), OURS[0]]


def test_a_program_with_logging_of_its_own_is_left_alone():
    stranger = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(stranger)
    handlers.settle()
    assert logging.getLogger().handlers == [stranger]
    assert stranger.filters == []


# --------------------------------------------------------------------------- whose job


def test_whatever_logs_in_a_run_names_its_job(capsys):
    configure_logging(SETTINGS)
    job_id = in_a_run(logging.getLogger("httpx").info, "POST")
    [event] = map(json.loads, lines(capsys))
    assert event["job_id"] == job_id
    assert event["kind"] == "email.send"
    assert event["attempt"] == 2
    assert event["namespace"] == "default"


def test_what_a_line_says_itself_stays(capsys):
    configure_logging(SETTINGS)
    in_a_run(lambda: logging.getLogger("shop").info("about another", extra={"job_id": "other"}))
    [event] = map(json.loads, lines(capsys))
    assert event["job_id"] == "other"
    assert event["kind"] == "email.send"


def test_a_line_in_the_format_of_the_application_names_the_job_at_its_end(capsys):
    basic()
    configure_logging(SETTINGS)
    handlers.settle()  # which goes on as long as the node runs
    job_id = in_a_run(logging.getLogger("shop").info, "theirs\nof two lines")
    assert lines(capsys) == [f"SHOP theirs [job_id={job_id} kind=email.send attempt=2]", "of two lines"]


def test_a_format_may_name_the_job_where_it_likes(capsys):
    logging.basicConfig(level=logging.INFO, handlers=[handler := logging.StreamHandler()])
    handler.setFormatter(logging.Formatter("%(job_id)s %(kind)s %(message)s", defaults={"job_id": "-", "kind": "-"}))
    configure_logging(SETTINGS)
    job_id = in_a_run(logging.getLogger("shop").info, "theirs")
    logging.getLogger("shop").info("of no job")
    assert lines(capsys) == [f"{job_id} email.send theirs", "- - of no job"]


# --------------------------------------------------------------------------- structlog


def by_structlog() -> None:
    structlog.configure(
        processors=[structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@pytest.mark.parametrize("first", [True, False])
def test_an_application_that_configures_structlog_gets_its_lines_its_way(capsys, first):
    steps = [by_structlog, lambda: configure_logging(SETTINGS)]
    for step in steps if first else reversed(steps):
        step()
    structlog.get_logger().info("theirs")
    log_both()
    theirs, *others = lines(capsys)
    assert theirs == "event='theirs'"
    assert [fields(line) for line in others] == [("shop", "theirs"), *OURS]


async def test_what_the_store_logs_stays_ours(capsys):
    by_structlog()
    configure_logging(SETTINGS)
    answers = iter([ConnectionError("gone"), None])

    async def ask() -> None:
        if error := next(answers):
            raise error

    await retry_through_outage(ask)
    said = [fields(line) for line in lines(capsys)]
    assert said == [("ironforge.store", "store_unavailable"), ("ironforge.store", "store_available")]


def test_structlog_without_a_configuration_logs_as_we_do(capsys):
    configure_logging(SETTINGS)
    configure_logging(SETTINGS)
    job_id = in_a_run(structlog.get_logger("shop").info, "theirs")
    [event] = map(json.loads, lines(capsys))
    assert event["event"] == "theirs"
    assert event["job_id"] == job_id


# --------------------------------------------------------------------------- what raises


class Raising(logging.Handler):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self._error = error

    def emit(self, _: logging.LogRecord) -> None:
        raise self._error

    def filter(self, _: logging.LogRecord) -> bool:
        if self._error is LookupError:
            raise self._error
        return True


@pytest.mark.parametrize("error", [ValueError, LookupError, SystemExit])
@pytest.mark.parametrize("first", [True, False])
def test_a_handler_that_raises_hurts_neither_who_logs_nor_the_line(capsys, error, first):
    configure_logging(SETTINGS)
    logging.getLogger().handlers.insert(0 if first else 99, Raising(error))
    logging.getLogger("ironforge.actors.leaseholder").info("ours", extra={"job_id": "j-1"})
    complaint = f"what the application has added to logging raises {error.__name__}"
    assert [json.loads(line)["event"] for line in lines(capsys)] == ["ours", complaint]


def test_a_logger_that_comes_later_is_guarded_as_well(capsys):
    configure_logging(SETTINGS)
    late = logging.getLogger("ironforge.actors.comes_later")
    handlers.settle()
    logging.getLogger().addHandler(Raising(ValueError))
    late.info("ours")
    assert json.loads(lines(capsys)[0])["event"] == "ours"


def test_a_factory_of_records_that_raises_hurts_neither_who_logs_nor_the_line(capsys):
    configure_logging(SETTINGS)
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *_, **__: sys.exit(5))
    try:
        logging.getLogger("ironforge.actors.leaseholder").info("ours", extra={"job_id": "j-1"})
    finally:
        logging.setLogRecordFactory(before)
    assert [(event["event"], event["job_id"]) for event in map(json.loads, lines(capsys))] == [("ours", "j-1")]
