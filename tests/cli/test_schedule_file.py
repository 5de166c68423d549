"""Files of schedules: what is wrong with one is said with the file, the schedule and the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironforge.cli.schedules.file import ScheduleFile, changes, read_schedules
from ironforge.errors import InvalidJob

NIGHTLY = """
[schedules."report.nightly"]
cron = ["30 2 * * *"]
start = 2026-12-01T12:00:00Z
exclude = [2026-12-25]
job = { kind = "report.build", payload = { month = 2026-11-01 } }
"""
EXAMPLE = '{"schedules": {"a": {"every_seconds": 60, "job": {"kind": "b", "payload": {"n": 1}}}}}'


def read(folder: Path, name: str, content: str | bytes) -> ScheduleFile:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_schedules(path)


def problem(folder: Path, name: str, content: str | bytes) -> str:
    """Without the folder."""
    with pytest.raises(InvalidJob) as raised:
        read(folder, name, content)
    return str(raised.value).replace(f"{folder}/", "")


def test_toml_has_times_and_dates_of_its_own(tmp_path: Path):
    source, schedules = read(tmp_path, "shop.toml", NIGHTLY)

    assert source == "shop"
    nightly = schedules["report.nightly"]
    assert nightly["start"] == "2026-12-01T12:00:00Z"
    assert nightly["exclude"] == ["2026-12-25"]
    assert nightly["job"]["payload"] == {"month": "2026-11-01"}


def test_json_says_the_same(tmp_path: Path):
    source, schedules = read(tmp_path, "shop.json", EXAMPLE.replace("{", '{"source": "other", ', 1))

    assert source == "other"
    assert schedules == {"a": {"every_seconds": 60.0, "job": {"kind": "b", "payload": {"n": 1}}}}


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path):
    wrong = (
        '[schedules."a.b"]\ncron = ["0 9 * * 8"]\njob = { kind = "c" }\n'
        '[schedules.d]\ncron = "0 9 * * *"\njob = { kind = "c" }\n'
        "[schedules.e]\nevery_seconds = 60\njob = { max_retries = -1, kind = 'c' }\n"
        "[schedules.f]\nevery_seconds = 60\ntz = 'UTC'\njob = { kind = 'c' }\n"
        "[schedules.g]\nevery_seconds = 60\njob = { kind = 'c' }\n"
    )
    first, second, third, fourth = problem(tmp_path, "shop.toml", wrong).splitlines()

    assert first == ("shop.toml: schedules.\"a.b\".cron[0]: '0 9 * * 8': day of week: 8 is out of range: give 0 to 7")
    assert second == 'shop.toml: schedules."d".cron: Expected `array`, got `str`: give an array'
    assert third.startswith('shop.toml: schedules."e".job.max_retries: job: max_retries -1 is out of range')
    assert fourth.startswith('shop.toml: schedules."f".tz: unknown field `tz`: known are ')


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "a.yaml",
            "schedules:",
            "a.yaml: a file of schedules is TOML or JSON: give one whose name ends with .toml or .json",
        ),
        ("a.toml", "a = \n", "a.toml: this is not TOML: Invalid value (at line 1, column 5)"),
        (
            "a.toml",
            b"a = '\xff'",
            "a.toml: this is not TOML: 'utf-8' codec can't decode byte 0xff in position 5: invalid start byte",
        ),
        (
            "a.toml",
            "[schedules.x]\nevery_seconds = nan",
            "a.toml: schedules.x.every_seconds: NaN is not a JSON number: use null or a text",
        ),
        ("a.toml", "schedules = []", "a.toml: schedules: Expected `object`, got `array`: give an object"),
        ("a.toml", "schedles = {}", "a.toml: schedles: unknown field `schedles`: did you mean `schedules`?"),
        ("a.json", " ", "a.json: it is empty, a JSON value is expected"),
        ("a.json", "[", "a.json: it is not valid JSON: Expecting value at line 1, column 2"),
        ("a.json", "[]", "a.json: Expected `object`, got `array`: give an object"),
        (
            "a.json",
            '{"schedules": {}, "schedules": {}}',
            "a.json: schedules: the key 'schedules' appears twice in one object",
        ),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, name: str, content: str | bytes, expected: str):
    assert problem(tmp_path, name, content) == expected


def test_a_file_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "a.toml").mkdir()
    with pytest.raises(InvalidJob, match=r"a\.toml: Is a directory"):
        read_schedules(tmp_path / "a.toml")


def test_what_changes_is_told_by_field():
    before = {"cron": ["0 9 * * *"], "timezone": "UTC", "job": {"kind": "a", "queue": "b"}}
    after = {"cron": ["0 9 * * *"], "catch_up": {"window_seconds": 60.0}, "job": {"kind": "a", "queue": "c" * 80}}

    assert changes(before, after) == [
        'timezone: "UTC" -> (not given)',
        f'job.queue: "b" -> "{"c" * 59}...',
        "catch_up.window_seconds: (not given) -> 60.0",
    ]


def test_of_one_that_cannot_be_read_all_is_new():
    assert changes(None, {"job": {"kind": "a"}, "every_seconds": 60.0}) == [
        'job.kind: (not given) -> "a"',
        "every_seconds: (not given) -> 60.0",
    ]


WORKFLOW = """
[schedules.report]
every_seconds = 60

[schedules.report.workflow]
name = "report"
nodes = [{ id = "fetch", kind = "web.fetch" }, { id = "send", kind = "mail.send", after = ["fetch"] }]
"""


def test_a_workflow_stands_in_a_file_too(tmp_path: Path):
    _, schedules = read(tmp_path, "shop.toml", WORKFLOW)

    assert schedules["report"]["workflow"] == {
        "name": "report",
        "nodes": [
            {"id": "fetch", "kind": "web.fetch", "payload": None},
            {"id": "send", "kind": "mail.send", "payload": None, "after": ["fetch"]},
        ],
    }


def test_what_is_wrong_with_a_workflow_is_said_with_its_node(tmp_path: Path):
    said = problem(tmp_path, "shop.toml", WORKFLOW.replace('["fetch"]', '["fetsh"]'))

    assert said.startswith('shop.toml: schedules."report".workflow.nodes[1].after[0]: ')


def test_nodes_that_changed_are_told_one_by_one(tmp_path: Path):
    _, before = read(tmp_path, "shop.toml", WORKFLOW)
    _, after = read(tmp_path, "shop.toml", WORKFLOW.replace("mail.send", "mail.post"))

    assert changes(before["report"], after["report"]) == ['workflow.nodes[1].kind: "mail.send" -> "mail.post"']
