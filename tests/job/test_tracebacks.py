"""A failure in words: whatever the exception does, the text can be stored, and was quick to make."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import Retry
from ironforge.job.tracebacks import (
    LINKS,
    MESSAGE_CHARACTERS,
    NAME_CHARACTERS,
    TRACE_CHARACTERS,
    RemoteFailure,
    describe,
    trace_of,
)

# Generous: each of them takes less than a millisecond, and what they bound once took half a second and more.
CPU_SECONDS = 0.1


class Own(Exception):
    pass


def test_builtin_types_have_a_short_name_and_others_a_full_one():
    assert describe(ValueError())[0] == "ValueError"
    assert describe(Retry())[0] == "ironforge.errors.Retry"
    assert describe(Own())[0] == f"{__name__}.Own"


def test_a_failure_of_another_process_is_passed_on_as_it_is():
    assert describe(RemoteFailure("KeyError", "'a'", "trace")) == ("KeyError", "'a'", "trace")


def caught(error: BaseException) -> BaseException:
    """With a traceback."""
    try:
        raise error
    except BaseException as raised:
        return raised


@given(st.text(alphabet=st.characters(codec=None)))
def test_every_text_can_be_encoded(text):
    name = re.sub("[\0\ud800-\udfff]", "", text) or "E"  # what Python takes for the name of a class
    error = caught(type(name, (ValueError,), {"__module__": text})(text))
    error.__notes__ = [text]
    for part in describe(error):
        part.encode()


# --------------------------------------------------------------------------- what exceptions may override


class Text(str):
    """A text that can do nothing that texts can."""

    __slots__ = ()

    def refuse(self, *_: object) -> object:
        raise SystemExit("no")

    __getitem__ = __str__ = __format__ = __len__ = __iter__ = __eq__ = encode = replace = strip = refuse  # type: ignore[assignment]
    __hash__ = str.__hash__


class Hostile(ValueError):
    """Raises wherever it is looked at."""

    def refuse(self, *_: object) -> object:
        raise SystemExit("no")

    __str__ = __repr__ = __eq__ = __bool__ = __len__ = __format__ = refuse  # type: ignore[assignment]
    __hash__ = ValueError.__hash__
    __class__ = __cause__ = __context__ = __suppress_context__ = __traceback__ = args = property(refuse)  # type: ignore[assignment]


class Named(type):
    def __getattribute__(cls, name: str) -> object:
        if name in ("__qualname__", "__name__", "__module__"):
            raise SystemExit("no")
        return super().__getattribute__(name)


class NotedOddly(Exception):
    @property
    def __notes__(self) -> list[str]:
        raise SystemExit("no")


def test_an_exception_that_raises_wherever_it_is_looked_at_is_described():
    name, message, trace = describe(caught(Hostile()))
    assert name == f"{__name__}.Hostile"
    assert message == "(its message could not be read: SystemExit)"
    assert trace.endswith(f"    raise error\n{name}: {message}\n")


def test_a_text_that_is_none_is_read_past_its_own_methods():
    message = describe(type("Odd", (ValueError,), {"__str__": lambda _: Text("odd")})())[1]
    assert type(message) is str
    assert message == "odd"


def test_a_metaclass_has_no_say_in_the_name():
    odd = Named("Odd", (ValueError,), {})
    assert describe(odd())[0] == f"{__name__}.Odd"


def test_a_module_that_is_no_text_is_left_out():
    assert describe(type("Odd", (ValueError,), {"__module__": 5})())[0] == "Odd"


def test_a_message_that_is_no_text_says_so():
    odd = type("Odd", (ValueError,), {"__str__": lambda _: 5})
    assert describe(odd())[1] == "(its message could not be read: TypeError)"


def test_notes_that_cannot_be_read_cost_the_trace_alone():
    assert describe(NotedOddly("odd")) == (f"{__name__}.NotedOddly", "odd", "")


def test_notes_stand_below_the_message():
    error = ValueError("first")
    error.add_note("then")
    assert trace_of(error) == "ValueError: first\n    then\n"


def test_a_message_of_several_lines_cannot_pass_for_lines_of_a_log():
    assert trace_of(ValueError("first\n2026 [error] forged")) == "ValueError: first\n    2026 [error] forged\n"


# --------------------------------------------------------------------------- how far they are followed


def chain(length: int, attribute: str) -> BaseException:
    error = ValueError("0")
    for number in range(1, length):
        further = ValueError(str(number))
        setattr(further, attribute, error)
        error = further
    return error


def ring() -> BaseException:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def endless() -> BaseException:
    def recurse() -> None:
        recurse()

    try:
        recurse()
    except RecursionError as error:
        return error
    raise AssertionError


def nested(depth: int) -> BaseException:
    error: Exception = ValueError("innermost")
    for _ in range(depth):
        error = ExceptionGroup("group", [error])
    return error


def noted() -> BaseException:
    error = ValueError("noted")
    error.__notes__ = ["x" * 10_000_000] * 1_000
    return error


VAST = {
    "causes": lambda: chain(4_000, "__cause__"),
    "contexts": lambda: chain(4_000, "__context__"),
    "ring": ring,
    "recursion": endless,
    "deep group": lambda: nested(1_000),
    "wide group": lambda: ExceptionGroup("wide", [ValueError(str(number)) for number in range(100_000)]),
    "notes": noted,
    "name": type("x" * 1_000_000, (ValueError,), {}),
    "message": lambda: ValueError("x" * 10_000_000),
}


@pytest.mark.parametrize("make", VAST.values(), ids=VAST)
def test_a_vast_exception_is_described_quickly_and_briefly(make):
    error, seconds = make(), []
    for _ in range(3):  # the garbage of all tests before it may be collected in one of them
        started = time.thread_time()
        name, message, trace = describe(error)
        seconds.append(time.thread_time() - started)
    assert min(seconds) < CPU_SECONDS
    assert len(name) <= NAME_CHARACTERS
    assert len(message) <= MESSAGE_CHARACTERS
    assert len(trace) <= TRACE_CHARACTERS


def test_the_nearest_causes_are_shown_and_the_rest_is_named():
    trace = trace_of(chain(LINKS + 1, "__cause__"))
    assert trace.startswith("(earlier exceptions are left out)\n")
    assert trace.count("ValueError: ") == LINKS
    assert trace.endswith(f"The above exception was the direct cause of this one:\n\nValueError: {LINKS}\n")


def test_a_context_is_shown_unless_it_is_hidden():
    error = chain(2, "__context__")
    assert (
        trace_of(error) == "ValueError: 0\n\nThe above exception was being handled before this one:\n\nValueError: 1\n"
    )
    error.__suppress_context__ = True
    assert trace_of(error) == "ValueError: 1\n"


def test_a_group_says_what_is_in_it_and_where_it_came_from():
    group = ExceptionGroup("two", [caught(ValueError("a")), ExceptionGroup("inner", [KeyError("b")])])
    _, message, trace = describe(group)
    assert message == "two (2 sub-exceptions): ValueError: a; KeyError: 'b'"
    assert f"ExceptionGroup: {message}\n  | Traceback (most recent call last):\n  |   File" in trace
    assert trace.endswith("  |     raise error\n  | ValueError: a\n  | KeyError: 'b'\n")
