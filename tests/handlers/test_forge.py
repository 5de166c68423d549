"""Registration checks everything at once; a prepared submission is the record that will run."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ironforge.errors import ConfigError, InvalidJob, InvalidPayload, SerializationError, UnknownKind
from ironforge.execution.executor import Executor
from ironforge.handlers.forge import Forge
from ironforge.job.options import JobOptions
from ironforge.job.record import Priority, format_id, new_id
from ironforge.job.retry import Backoff
from ironforge.settings import Settings


async def on_loop(to: str = "ada") -> None: ...


def in_thread() -> None: ...


def forge_with(function: Any = on_loop, kind: str = "email.send", **given: Any) -> Forge:
    forge = Forge()
    forge.job(kind, **given)(function)
    return forge


def test_the_function_is_returned_as_it_is():
    assert Forge().job("email.send")(on_loop) is on_loop


def test_a_handler_knows_the_options_of_its_kind():
    backoff = Backoff(base_seconds=1)
    handler = forge_with(
        priority="high",
        queue="mail",
        max_retries=5,
        timeout_seconds=30,
        retain_seconds=60,
        backoff=backoff,
    ).handler("email.send")
    assert handler.options == JobOptions(
        priority="high", queue="mail", max_retries=5, timeout_seconds=30, retain_seconds=60
    )
    assert handler.backoff is backoff


def test_without_options_the_settings_decide():
    handler = forge_with().handler("email.send")
    assert handler.options == JobOptions()
    assert handler.backoff == Backoff()


def test_where_a_handler_runs_follows_from_the_function():
    assert forge_with(on_loop).handler("email.send").executor == "async"
    assert forge_with(in_thread).handler("email.send").executor == "thread"
    assert forge_with(in_thread, executor="process").handler("email.send").executor == "process"


async def _yields() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "executor", "said"),
    [
        (in_thread, "async", "would block the event loop"),
        (on_loop, "thread", "needs `def`"),
        (on_loop, "process", "needs `def`"),
        (in_thread, "gpu", "'gpu' is not one of auto, async, thread, process"),
        (lambda: None, "process", "top of its module"),
        (_yields, "auto", "yields"),
        (functools.partial(in_thread), "auto", "must be a function"),
        (int, "auto", "must be a function"),
    ],
)
def test_a_function_that_cannot_run_there_is_refused(function, executor, said):
    with pytest.raises(ConfigError, match=said):
        forge_with(function, executor=executor)


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "a b"},
        {"priority": "urgent"},
        {"queue": "a:b"},
        {"max_retries": -1},
        {"timeout_seconds": 0},
        {"retain_seconds": 1e9},
    ],
)
def test_wrong_options_are_refused_at_registration(given):
    with pytest.raises(ConfigError, match=r"@forge\.job"):
        forge_with(**given)


async def test_an_option_that_does_not_exist_there_is_refused():
    with pytest.raises(TypeError, match="takes no option 'prioritiy': did you mean 'priority'"):
        Forge().job("k", prioritiy="high")
    with pytest.raises(TypeError, match="takes no option 'delay_seconds'"):
        Forge().job("k", delay_seconds=1)
    with pytest.raises(TypeError, match="takes no option 'zzz': it takes priority, queue"):
        Forge().job("k", zzz=1)
    with pytest.raises(TypeError, match="a batch takes no option 'id'"):
        await Forge().submit_many("k", [], id="x")


def test_a_kind_is_registered_once():
    forge = forge_with()
    with pytest.raises(ConfigError, match=r"'email.send' is registered twice: by .*on_loop and by .*in_thread"):
        forge.job("email.send")(in_thread)


async def test_a_running_node_takes_no_registrations():
    forge = forge_with()
    Executor(forge, Settings(), "node-1")
    with pytest.raises(ConfigError, match="running node"):
        forge.job("late")(in_thread)
    with pytest.raises(ConfigError, match="running node"):
        forge.middleware(on_loop)


def test_middleware_must_be_async():
    with pytest.raises(ConfigError, match="async def"):
        Forge().middleware(in_thread)


def test_an_unknown_kind_is_answered_with_the_closest_names():
    with pytest.raises(UnknownKind, match=r"did you mean 'email\.send'"):
        forge_with().handler("email.sent")
    with pytest.raises(UnknownKind, match=r"this application knows email\.send"):
        forge_with().handler("zzz")
    with pytest.raises(UnknownKind, match="no kinds at all"):
        Forge().handler("zzz")


def test_a_submission_gets_the_options_of_its_kind_and_overrides_them():
    forge = forge_with(priority="high", queue="mail", max_retries=5, timeout_seconds=30)
    plain = forge.prepare("email.send").job
    other = forge.prepare("email.send", priority="medium", queue="default", max_retries=0).job
    assert plain.priority == Priority.HIGH
    assert plain.queue == "mail"
    assert other.priority == Priority.MEDIUM
    assert other.queue == "default"
    assert other.max_retries == 0


def test_what_the_node_asks_the_kind_for_is_left_open_in_a_submission():
    plain = forge_with(max_retries=5, timeout_seconds=30, retain_seconds=60).prepare("email.send").job
    assert (plain.max_retries, plain.timeout_ms, plain.retain_ms) == (None, None, None)


def test_a_submission_may_name_the_function():
    submission = forge_with().prepare(on_loop, {"to": "ada"})
    assert submission.job.kind == "email.send"
    assert submission.job.payload == b'{"to":"ada"}'
    with pytest.raises(UnknownKind, match="in_thread is no handler"):
        forge_with().prepare(in_thread)


def test_a_payload_that_the_handler_cannot_take_is_refused_before_it_is_sent():
    with pytest.raises(InvalidPayload, match="did you mean 'to'"):
        forge_with(strict=True).prepare("email.send", {"too": "ada"})
    with pytest.raises(SerializationError, match=r"payload\.to"):
        forge_with().prepare("email.send", {"to": object()})


def test_a_kind_of_another_application_may_be_submitted():
    assert Forge().prepare("other.kind", {"anything": 1}).job.payload == b'{"anything":1}'
    with pytest.raises(InvalidJob, match="kind 'a b' is not a name"):
        Forge().prepare("a b")


def test_delay_and_time_are_part_of_the_submission():
    assert Forge().prepare("k", delay_seconds=1.5).delay_ms == 1_500
    moment = datetime.now(UTC) + timedelta(hours=1)
    assert int(moment.timestamp() * 1000) - 1 <= (Forge().prepare("k", run_at=moment).run_at_ms or 0)


def test_an_id_may_be_given():
    job_id = new_id()
    assert Forge().prepare("k", id=format_id(job_id)).job.id == job_id
    for wrong in ("x", "6d3f7b3c-7d5c-4d0f-9d6e-1f6a3e0b5a11"):
        with pytest.raises(InvalidJob, match="not a UUIDv7") as caught:
            Forge().prepare("k", id=wrong)
        assert caught.value.code == "invalid_job_id"


def test_the_fingerprint_tells_a_repetition_from_a_conflict():
    def mark(payload: object, **given: Any) -> bytes:
        return Forge().prepare("k", payload, idempotency_key="key", **given).fingerprint

    assert mark({"a": 1}) == mark({"a": 1})
    assert len({mark({"a": 1}), mark({"a": 2}), mark({"a": 1}, delay_seconds=1)}) == 3


async def test_without_a_server_a_submission_names_the_setting():
    async with Forge(Settings()) as forge:
        with pytest.raises(ConfigError, match="IRONFORGE_REDIS_URL"):
            await forge.submit("k")


def test_a_backoff_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="backoff must be a Backoff, not function"):
        forge_with(backoff=lambda failures: 2.0)


def test_durations_are_taken_wherever_seconds_are():
    handler = forge_with(timeout_seconds=timedelta(minutes=1), retain_seconds=timedelta(0)).handler("email.send")
    assert handler.options.timeout_seconds == 60.0
    assert handler.options.retain_seconds == 0.0
