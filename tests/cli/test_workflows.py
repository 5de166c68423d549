"""The commands about workflows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ironforge.cli import output
from ironforge.cli.workflows import views
from tests.cli.kit import Dev
from tests.support.waiting import eventually

GHOST = "0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50"
DOCUMENT = {
    "name": "test.echo",
    "nodes": [
        {"id": "first", "kind": "demo.echo", "payload": {"n": 1}},
        {"id": "second", "kind": "demo.echo", "payload": {"n": 2}, "after": ["first"]},
    ],
}
TOML = """
name = "test.echo"

[[nodes]]
id = "first"
kind = "demo.echo"
payload = { n = 1 }

[[nodes]]
id = "second"
kind = "demo.echo"
payload = { n = 2 }
after = ["first"]
"""


def submitted(dev: Dev, document: object = DOCUMENT, *arguments: str) -> str:
    done = dev.ironforge("workflows", "submit", "-", *arguments, stdin=json.dumps(document).encode())
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def ended(dev: Dev, workflow_id: str) -> str:
    def status() -> str:
        found = dev.json("workflows", "show", workflow_id)["status"]
        return "" if found in ("running", "paused") else str(found)

    return str(eventually(status, f"workflow {workflow_id} to end"))


def test_one_is_submitted_followed_and_drawn(dev: Dev, tmp_path: Path):
    for name, text in (("flow.toml", TOML), ("flow.json", json.dumps(DOCUMENT))):
        path = tmp_path / name
        path.write_text(text)
        followed = dev.ironforge("workflows", "submit", str(path), "--watch")
        assert (followed.returncode, followed.stderr) == (0, "")
        last = followed.stdout.splitlines()[-4:]
        assert last[0] == dev.json("workflows", "list", "--limit", "1")["workflows"][0]["id"]
        assert last[1] == "test.echo  completed  2 of 2 nodes ended"
        assert last[2:] == ["✓  first   succeeded", "✓  second  succeeded"]


def test_it_is_shown_with_its_results_and_listed(dev: Dev):
    workflow_id = submitted(dev)
    assert ended(dev, workflow_id) == "completed"
    shown = dev.ironforge("workflows", "show", workflow_id, "--results")
    assert shown.stdout.splitlines()[-2:] == ['first: {"n": 1}', 'second: {"n": 2}']
    listed = dev.ironforge("workflows", "list", "--name", "test.echo", "--status", "completed", "--limit", "1")
    assert re.search(rf"^{workflow_id} +completed +test.echo +2/2 ", listed.stdout, re.MULTILINE)
    watched = dev.ironforge("workflows", "show", workflow_id, "--watch", "--json")
    assert json.loads(watched.stdout)["status"] == "completed"
    assert dev.ironforge("workflows", "list", "--name", "test.none").stderr == "no workflows\n"


def test_a_key_submits_once(dev: Dev):
    first = submitted(dev, DOCUMENT, "--idempotency-key", "cli-once")
    assert submitted(dev, DOCUMENT, "--idempotency-key", "cli-once") == first


def test_it_is_paused_resumed_and_cancelled(dev: Dev):
    late = {"name": "test.late", "nodes": [{"id": "a", "kind": "demo.echo", "options": {"delay_seconds": 3600}}]}
    workflow_id = submitted(dev, late)
    paused = dev.ironforge("workflows", "pause", workflow_id)
    assert (paused.returncode, paused.stderr) == (0, f"{workflow_id}: paused\n")
    assert dev.ironforge("workflows", "resume", workflow_id).stderr == f"{workflow_id}: running\n"
    assert dev.ironforge("workflows", "cancel", workflow_id).returncode == 0
    assert ended(dev, workflow_id) == "cancelled"
    again = dev.ironforge("workflows", "pause", workflow_id)
    assert again.returncode == 5
    assert "409 invalid_state" in again.stderr


def test_what_is_wrong_is_said(dev: Dev, tmp_path: Path):
    assert dev.ironforge("workflows", "show", GHOST).returncode == 4
    assert dev.ironforge("workflows", "show", "x").returncode == 2
    cycle = {"name": "c", "nodes": [{"id": n, "kind": "demo.echo", "after": [other]} for n, other in ("ab", "ba")]}
    refused = dev.ironforge("workflows", "submit", "-", stdin=json.dumps(cycle).encode())
    assert refused.returncode == 2
    assert "nodes[0].after: these wait for each other: a -> b -> a" in refused.stderr
    typo = dev.ironforge("workflows", "submit", "-", stdin=b'{"name": "c", "nodes": [{"id": "a", "kin": "k"}]}')
    assert (typo.returncode, "did you mean `kind`?" in typo.stderr) == (2, True)
    for name, text, words in (
        ("a.yaml", "", "a workflow is TOML or JSON: give one whose name ends with .toml or .json"),
        ("a.json", "{", "it is not valid JSON"),
        ("a.json", '{"name": NaN}', "name: NaN is not a JSON number"),
        ("a.toml", "=", "this is not TOML"),
    ):
        path = tmp_path / name
        path.write_text(text)
        wrong = dev.ironforge("workflows", "submit", str(path))
        assert wrong.returncode == 2
        assert f"{path}: " in wrong.stderr
        assert words in wrong.stderr
    missing = dev.ironforge("workflows", "submit", str(tmp_path / "none.json"))
    assert (missing.returncode, "No such file or directory" in missing.stderr) == (2, True)


def test_one_that_fails_ends_a_watch_with_1(dev: Dev):
    document = {"name": "test.fails", "nodes": [{"id": "a", "kind": "demo.none", "options": {"expires_in_seconds": 1}}]}
    done = dev.ironforge("workflows", "submit", "-", "--watch", stdin=json.dumps(document).encode())
    assert done.returncode == 1
    assert re.search(r"^\S+ did not complete: it is failed$", done.stderr, re.MULTILINE)
    assert done.stdout.splitlines()[-1].startswith("⊘  a  cancelled")


def test_one_that_failed_says_why_and_how_far_it_is_undone(dev: Dev):
    words = "no such card, nor another one to be found for this customer in any of the books that we have"
    first = {"id": "first", "kind": "demo.echo", "compensate": "demo.echo"}
    second = {"id": "second", "kind": "demo.fail", "payload": {"message": words}, "after": ["first"]}
    second["options"] = {"max_retries": 0}
    workflow_id = submitted(dev, {"name": "test.why", "nodes": [first, second]})
    assert ended(dev, workflow_id) == "failed"
    shown = dev.ironforge("workflows", "show", workflow_id).stdout.splitlines()
    assert shown[:2] == [workflow_id, "test.why  failed  2 of 2 nodes ended: node second failed"]
    assert shown[2:] == [
        "✓  first   succeeded  undone",
        f"✗  second  failed  RuntimeError: {words} (gave up after 1 failed attempt)",
    ]


def test_a_reason_that_is_too_long_for_its_line_stands_below_in_full(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(output.out, "width", 40)
    node = {"id": "pay", "status": "failed", "items": None, "compensation": None}
    workflow: dict[str, Any] = {
        "id": GHOST,
        "name": "w",
        "status": "failed",
        "ended_at": "x",
        "schedule": None,
        "reason": None,
        "created_at": "x",
    }
    workflow["workflow"] = {"name": "w", "nodes": [{"id": "pay", "kind": "k"}]}

    def lines(reason: str) -> list[str]:
        return [str(line) for line in views.shown({**workflow, "nodes": [{**node, "reason": reason}]}).renderables][2:]

    assert lines("ValueError: no") == ["✗  pay  failed  ValueError: no"]
    words = "ValueError: no card of this customer can be used\nany more"
    assert lines(words) == [
        "✗  pay  failed  ValueError: no card of …",
        "pay: ValueError: no card of this customer can be used any more",
    ]
