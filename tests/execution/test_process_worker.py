"""What a child process answers, without the process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ironforge.errors import ConfigError
from ironforge.execution.conclusion import Conclusion, Verdict
from ironforge.execution.process_frames import Answer, Ask, Request
from ironforge.execution.process_worker import perform
from ironforge.handlers.process_target import target_of
from ironforge.job.record import format_id, new_id
from ironforge.job.tick import JobTick
from ironforge.settings import Settings
from tests.execution import cpu_handlers


def ask(function: Any, payload: bytes = b"{}", **changes: Any) -> Conclusion:
    module, path, name = target_of(function)
    return perform(request(module=module, path=path, function=name, payload=payload, **changes), no_journal)


def no_journal(asked: Ask) -> Answer:
    raise AssertionError(f"none of these handlers has steps: {asked}")


def request(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "module": "tests.execution.cpu_handlers",
        "path": "",
        "function": "add",
        "kind": "k",
        "payload": b"{}",
        "job_id": new_id(),
        "attempt": 1,
        "fence": 0,
        "timeout_seconds": 30.0,
    }
    return Request(**{**fields, **changes})


def test_a_result_is_json():
    assert ask(cpu_handlers.add, b'{"a":1,"b":2}') == Conclusion(Verdict.RESULT, result=b"3")


def test_the_context_is_rebuilt():
    job_id = new_id()
    reply = ask(cpu_handlers.whoami, job_id=job_id, attempt=2, fence=5)
    assert reply.result.decode() == f'[{os.getpid()},"{format_id(job_id)}","k",2,5,true]'


def test_the_tick_of_its_job_is_known():
    reply = ask(cpu_handlers.tick, tick=JobTick("report", 1_767_225_600_000))
    assert reply.result == b'"report 2026-01-01 00:00:00+00:00"'


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raise", Conclusion(Verdict.RETRY, "Retry", "raised", pause_ms=2_000)),
        ("retry", Conclusion(Verdict.RETRY, "Retry", "the handler asked for a retry")),
        ("later", Conclusion(Verdict.RETRY, "Retry", "the handler asked for a retry", pause_ms=60_000)),
        ("discard", Conclusion(Verdict.DISCARD, "Discard", "no")),
        ("odd", Conclusion(Verdict.DISCARD, "Discard", "(its message could not be read: SystemExit)")),
        ("snooze", Conclusion(Verdict.SNOOZE, pause_ms=5_000)),
        ("throttled", Conclusion(Verdict.THROTTLED, throttled=(("stripe", 5_000),))),
    ],
)
def test_verdicts_are_told(name, expected):
    assert ask(cpu_handlers.verdict, f'{{"name":"{name}"}}'.encode()) == expected


@pytest.mark.parametrize(("function", "name"), [(cpu_handlers.fail, "KeyError"), (cpu_handlers.leave, "SystemExit")])
def test_whatever_is_raised_is_a_failure(function, name):
    reply = ask(function)
    assert reply.verdict == "failure"
    assert reply.type == name


def test_an_unusable_result_says_why():
    code = "result_not_serialisable"
    assert ask(cpu_handlers.unusable) == Conclusion(
        Verdict.UNUSABLE, code, f"{code}: result: object is not a JSON value"
    )


def test_a_function_that_is_not_where_it_was_is_explained(tmp_path: Path):
    missing = perform(request(function="renamed"), no_journal)
    assert missing.type == "ironforge.errors.ConfigError"
    assert "no 'renamed' in tests.execution.cpu_handlers" in missing.message
    assert "no Python file" in perform(request(path=str(tmp_path / "script.txt")), no_journal).message
    assert perform(request(module="no_such_module"), no_journal).type == "ModuleNotFoundError"


def test_a_script_is_loaded_from_its_file_once(tmp_path: Path):
    path = tmp_path / "script.py"
    path.write_text("calls = []\ndef count() -> int:\n    calls.append(1)\n    return len(calls)\n")
    replies = [perform(request(path=str(path), function="count"), no_journal).result for _ in range(2)]
    assert replies == [b"1", b"2"]


def test_a_function_that_a_child_cannot_find_is_refused_in_time():
    def nested() -> None: ...

    with pytest.raises(ConfigError, match="top of its module"):
        target_of(nested)
    assert target_of(Settings) == (Settings.__module__, "", "Settings")


def test_a_coroutine_is_awaited():
    assert ask(cpu_handlers.later, b'{"to":"ada"}') == Conclusion(Verdict.RESULT, result=b'"ada"')


def test_no_run_sees_what_another_one_has_set():
    assert [ask(cpu_handlers.remember).result for _ in range(2)] == [b"[]", b"[]"]
