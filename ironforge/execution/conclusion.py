"""What a handler's end means, in words that can be stored: one reading for the loop, threads and processes alike.

Whatever was returned or raised is the user's, and to read it runs the user's code, which may raise anything. That is
guarded here and nowhere else: what cannot be read is a failed attempt that says so.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from types import CoroutineType, NoneType
from typing import Any, Final, TypeVar

import msgspec

from ironforge.errors import Discard, InvalidJob, JobControl, Retry, Snooze, Throttled
from ironforge.job.checks import check_pause, check_throttle
from ironforge.job.json_values import encode_result
from ironforge.job.tracebacks import UnusableResult, describe, leaves_of, message_of, type_name
from ironforge.steps.errors import UnusableStep
from ironforge.steps.parking import Parked, Pending
from ironforge.workflows.errors import Unresolved

GROUP_MEMBERS: Final = 1_000

Control = TypeVar("Control", bound=JobControl)


class Verdict(enum.StrEnum):
    RESULT = "result"
    FAILURE = "failure"
    RETRY = "retry"
    SNOOZE = "snooze"
    THROTTLED = "throttled"
    WAITING = "waiting"
    DISCARD = "discard"
    UNUSABLE = "unusable"


class Conclusion(msgspec.Struct, array_like=True, frozen=True, tag_field="said", tag="end"):
    """`pause_ms`: how long the handler wants to wait, None for as long as the backoff says; `result`: JSON.

    `throttled`: names of limits whose targets throttle, each with for how many milliseconds; one may be there twice.
    `told` and `used`: what a handler in a process said to its context, of limits that throttle and of units.
    `pending`: what the job waits for.
    """

    verdict: Verdict
    type: str = ""
    message: str = ""
    trace: str = ""
    pause_ms: int | None = None
    result: bytes = b""
    throttled: tuple[tuple[str, int], ...] = ()
    told: tuple[tuple[str, int], ...] = ()
    used: tuple[tuple[str, int], ...] = ()
    pending: Pending | None = None


# Of a handler that returned None, as most do.
NOTHING: Final = Conclusion(Verdict.RESULT, result=b"null")


def is_awaitable(value: object) -> bool:
    """By its type alone: to ask the value, as `inspect` does, would run code of the user's."""
    kind = type(value)
    if kind is NoneType or kind is CoroutineType:
        return kind is CoroutineType
    return any("__await__" in vars(base) for base in kind.__mro__)


async def awaited(value: Any) -> Any:
    """What it comes to. A function need not say that it is asynchronous: decorators hide it, and any function may
    return a coroutine."""
    return await value if is_awaitable(value) else value


def returned(value: Any) -> Conclusion:
    """Of a handler that came to its end. Never raises."""
    try:
        if issubclass(type(value), JobControl):
            return raised(value)
        return Conclusion(Verdict.RESULT, result=encode_result(value))
    except BaseException as error:  # noqa: BLE001 - the value's own methods may raise anything, SystemExit included
        return raised(error)


def raised(error: BaseException) -> Conclusion:
    """Of a handler that raised `error`. Never raises."""
    try:
        return _read(error)
    except BaseException as broken:  # noqa: BLE001 - the same
        text = f"what it says could not be read: {type_name(broken)}: {message_of(broken)}"
        return Conclusion(Verdict.FAILURE, type_name(error), text)


def _read(error: BaseException) -> Conclusion:
    if type(error) is RuntimeError and error.__cause__ is not None and type(error.__cause__) is StopIteration:
        error = error.__cause__  # a coroutine cannot raise it as it is, a child process can
    said = _said(error)
    if all(type(one) is Parked for one in said):
        return Conclusion(Verdict.WAITING, pending=said[0].pending)  # type: ignore[attr-defined]
    try:
        if later := _later(said):
            return later
    except InvalidJob as invalid:
        return Conclusion(Verdict.FAILURE, "ValueError", message_of(invalid))
    if discards := _all(said, Discard):
        return Conclusion(Verdict.DISCARD, "Discard", _reasons(discards))
    if isinstance(error, UnusableStep):
        error = UnusableResult(f"{error.code}: {message_of(error)}")
    if isinstance(error, Unresolved):
        error = UnusableResult(f"unresolved_reference: {message_of(error)}")
    if isinstance(error, UnusableResult):
        return Conclusion(Verdict.UNUSABLE, error.reason.partition(":")[0], message_of(error))
    return Conclusion(Verdict.FAILURE, *describe(error))


def _later(said: Sequence[BaseException]) -> Conclusion | None:
    """When all of them want the job to run again. Raises InvalidJob for a pause that is none."""
    if snoozes := _all(said, Snooze):
        pauses = [check_pause("the pause of Snooze", snooze.seconds) for snooze in snoozes]
        return Conclusion(Verdict.SNOOZE, pause_ms=max(pauses))
    if throttles := _all(said, Throttled):
        stops = ((str(one.limit), check_throttle("seconds of Throttled", one.seconds)) for one in throttles)
        return Conclusion(Verdict.THROTTLED, throttled=tuple(stops))
    if retries := _all(said, Retry):
        given = [check_pause("the pause of Retry", retry.after) for retry in retries if retry.after is not None]
        return Conclusion(Verdict.RETRY, "Retry", _reasons(retries), pause_ms=max(given, default=None))
    return None


def _said(error: BaseException) -> Sequence[BaseException]:
    """A group speaks for the handler when all in it say the same; a vast one speaks for itself."""
    leaves = tuple(itertools.islice(leaves_of(error), GROUP_MEMBERS + 1))
    return leaves if len(leaves) <= GROUP_MEMBERS else (error,)


def _all(said: Sequence[BaseException], control: type[Control]) -> list[Control]:
    """Those said, when all are of this kind; else none."""
    found = [one for one in said if issubclass(type(one), control)]
    return found if len(found) == len(said) else []  # type: ignore[return-value]


def _reasons(said: Sequence[Retry] | Sequence[Discard]) -> str:
    return "; ".join(dict.fromkeys(message_of(one.reason) for one in said))
