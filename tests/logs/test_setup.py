"""Logging: what reaches stderr, in which form, whatever was logged."""

from __future__ import annotations

import json
import logging
import warnings

import pytest
import structlog

from ironforge.logs.setup import configure_logging, get_logger
from ironforge.settings import Settings

pytestmark = pytest.mark.usefixtures("own_logging")


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Every line of stderr as JSON; stdout, which belongs to the user's programs, must be empty."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line, parse_constant=no_json) for line in captured.err.split("\n")[:-1]]


def no_json(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_an_event_is_one_json_object_with_time_level_logger_and_fields(capsys):
    configure_logging(Settings(log_format="json"))
    get_logger("ironforge.test").info("job settled", kind="email.send", seconds=0.25)
    [event] = logged(capsys)
    assert str(event.pop("ts")).endswith("Z")
    assert event == {
        "level": "info",
        "logger": "ironforge.test",
        "event": "job settled",
        "kind": "email.send",
        "seconds": 0.25,
    }


def test_the_standard_library_passes_through_the_same_formatter(capsys):
    configure_logging(Settings(log_format="json"))
    logging.getLogger("aiohttp.server").warning("bad request from %s", "::1", extra={"status": 400})
    [event] = logged(capsys)
    assert event["level"] == "warning"
    assert event["logger"] == "aiohttp.server"
    assert event["event"] == "bad request from ::1"
    assert event["status"] == 400


def test_an_event_may_be_words_with_places_for_others(capsys):
    configure_logging(Settings(log_format="json"))
    get_logger("ours").info("%s process started", "node", pid=7)
    [event] = logged(capsys)
    assert event["event"] == "node process started"
    assert event["pid"] == 7
    assert "positional_args" not in event


def test_context_variables_are_in_our_events_and_in_those_of_libraries(capsys):
    configure_logging(Settings(log_format="json"))
    with structlog.contextvars.bound_contextvars(node="n-1"):
        get_logger("ours").info("one")
        logging.getLogger("theirs").warning("two")
    assert [event["node"] for event in logged(capsys)] == ["n-1", "n-1"]


def test_events_below_the_level_are_not_written(capsys):
    configure_logging(Settings(log_format="json", log_level="warning"))
    get_logger("ours").info("no")
    logging.getLogger("theirs").info("no")
    get_logger("ours").warning("yes")
    assert [event["event"] for event in logged(capsys)] == ["yes"]


def test_configuring_again_replaces_the_first_and_leaves_other_handlers_alone(capsys):
    stranger = logging.NullHandler()
    logging.getLogger().addHandler(stranger)
    configure_logging(Settings(log_format="json"))
    configure_logging(Settings(log_format="json"))
    get_logger("ours").info("once")
    assert [event["event"] for event in logged(capsys)] == ["once"]
    assert stranger in logging.getLogger().handlers


@pytest.mark.parametrize(
    "hostile",
    [
        "a\nb",
        "a\r\nb",
        "a\x00\x1b[2Jb",
        "a\u2028b\u0085c",
        "lone \ud800 surrogate",
        float("nan"),
        b"\xff\n",
        {(1, 2): 3},
        {"deep": {1, 2}},
        object(),
    ],
)
def test_nothing_that_is_logged_can_break_the_line(capsys, hostile):
    configure_logging(Settings(log_format="json"))
    get_logger("ours").info(str(hostile), value=hostile, other=1)
    [event] = logged(capsys)
    assert event["other"] == 1


def test_a_value_that_contains_itself_is_logged_as_its_repr(capsys):
    configure_logging(Settings(log_format="json"))
    cycle: list[object] = []
    cycle.append(cycle)
    get_logger("ours").info("cycle", value=cycle)
    assert [event["value"] for event in logged(capsys)] == ["[[...]]"]


def test_an_exception_stays_inside_its_line(capsys):
    configure_logging(Settings(log_format="json"))
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        get_logger("ours").exception("failed")
    [event] = logged(capsys)
    assert str(event["exception"]).endswith("ValueError: first\nsecond")


def test_python_warnings_are_logged(capsys):
    configure_logging(Settings(log_format="json"))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old call", stacklevel=1)
    [event] = logged(capsys)
    assert event["logger"] == "py.warnings"


def test_the_console_shows_control_characters_as_text(capsys):
    configure_logging(Settings(log_format="console"))
    get_logger("ours").info("forged\n2026 [error] line", value="\x1b[31mred", **{"a\nkey": 1})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "forged\\n2026 [error] line" in lines[0]
    assert "\\x1b[31mred" in lines[0]
    assert "a\\nkey=1" in lines[0]


def test_the_console_keeps_the_lines_of_a_traceback_but_not_its_escapes(capsys):
    configure_logging(Settings(log_format="console"))
    try:
        raise ValueError("\x1b[2J\n2026 [error] forged")
    except ValueError:
        get_logger("ours").exception("failed")
    written = capsys.readouterr().err
    assert written.splitlines()[-2:] == ["    ValueError: \\x1b[2J", "    2026 [error] forged"]
    assert "\x1b" not in written


def test_auto_is_json_where_stderr_is_no_terminal(capsys):
    configure_logging(Settings(log_format="auto"))
    get_logger("ours").info("hello")
    assert [event["event"] for event in logged(capsys)] == ["hello"]


class Terminal:
    """What a process attached to a terminal has as stderr."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True


def test_auto_is_the_console_with_colours_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    configure_logging(Settings(log_format="auto"))
    get_logger("ours").info("hello")
    assert "\x1b[" in terminal.text
    assert "hello" in terminal.text


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (Settings(log_format="json", namespace="team-a"), "team-a"),
        (Settings(log_format="json"), None),
        (Settings(log_format="json", namespace="team-a", namespaces=("team-b", "team-c")), None),
        (Settings(log_format="json", namespace="team-a", auth="on", key_pepper="x" * 32), None),
    ],
    ids=["a node of a team", "the only namespace there is", "a node of several", "an api of many"],
)
def test_lines_of_a_process_that_serves_one_namespace_name_it(capsys, settings, named):
    configure_logging(settings)
    get_logger("ironforge.test").info("from us")
    logging.getLogger("aiohttp.server").info("from others")

    assert [event.get("namespace") for event in logged(capsys)] == [named, named]
