"""The README as a new user reads it: each of its commands is run, each of its programs is loaded."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ironforge import settings
from ironforge.client.client import Client
from tests.cli.kit import Dev, environment, eventually
from tests.support.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- (?P<note>[^\n]*) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)```", re.DOTALL)
SKIPPED = "not run by the tests: it does not end"


def blocks(language: str, heading: str = "") -> list[tuple[str, str]]:
    """The blocks below a heading (default: all) as (note, text)."""
    part = README if not heading else README.split(heading, 1)[1]
    end = part.find("\n## ") if heading.startswith("## ") else part.find("\n##")
    part = part if not heading or end < 0 else part[:end]
    found = BLOCK.finditer(part)
    return [(match["note"] or "", match["text"]) for match in found if match["language"] == language]


class Reader:
    """Does in a folder of their own what the README says, against an API on a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""

    def dev(self, command: str) -> Dev:
        program, *flags = command.split()
        assert "scripts/dev" == program
        service = Dev(self.folder, *flags)
        self.url = service.url
        return service

    def run(self, text: str) -> str:
        return shell(text.replace("http://127.0.0.1:3000", self.url), self.folder, IRONFORGE_URL=self.url)


def shell(text: str, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", text.replace(".venv/bin/", f"{Path(sys.executable).parent}/")],
        cwd=folder,
        env={**environment(), "COLUMNS": "120", **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def test_check_1_a_job_is_submitted_and_completed(reader: Reader) -> None:
    with reader.dev("scripts/dev"), Client(reader.url) as client:
        curl, wait = blocks("sh", "### 1.")
        accepted = reader.run(curl[1])
        assert '"status":"queued"' in accepted
        assert "completed" in reader.run(wait[1])
        eventually(lambda: client.stats()["totals"].get("completed") == 2, "both jobs to complete")


def test_check_2_priorities_are_strict(reader: Reader) -> None:
    (_, without_node), (_, submit), (_, with_node) = blocks("sh", "### 2.")
    with reader.dev(without_node):
        reader.run(submit)
    with reader.dev(with_node) as service:
        eventually(lambda: "".join(service.stderr).count("email sent") == 3, "three mails")
        order = re.findall(r'"to": "(\w+)"', "".join(service.stderr))

    assert ["critical", "medium", "low"] == order


def test_check_3_a_failing_job_is_retried_dead_and_revived(reader: Reader) -> None:
    (_, submit), (_, revive) = blocks("sh", "### 3.")
    with reader.dev("scripts/dev"), Client(reader.url) as client:
        assert '"jobs":[]' in reader.run(submit)
        eventually(lambda: client.dlq()["jobs"], "the job to be dead")
        [dead] = client.dlq()["jobs"]
        assert [1, 2] == [error["attempt"] for error in dead["errors"]]

        assert '"status":"queued"' in reader.run(revive)
        eventually(lambda: client.get(dead["id"])["attempts"] == 1, "the job to run, and fail, again")


def test_check_4_the_benchmark_runs() -> None:
    [(_, text)] = blocks("sh", "### 4.")

    assert "2 nodes" in shell(text.replace("--jobs 50000", "--jobs 3000"), ROOT)


def test_every_command_is_run_by_one_of_these_tests() -> None:
    run = [text for heading in ("### 1.", "### 2.", "### 3.", "### 4.") for _, text in blocks("sh", heading)]

    assert [] == [text for note, text in blocks("sh") if note != SKIPPED and text not in run]


def test_the_programs_can_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, submit, locks = [text for _, text in blocks("python")]
    (tmp_path / "shop.py").write_text(shop)
    monkeypatch.syspath_prepend(tmp_path)

    assert ("order.ship", "report.render", "legacy.call") == importlib.import_module("shop").forge.kinds
    for name, text in (("submit_it", submit), ("locks_it", locks)):
        (tmp_path / f"{name}.py").write_text(text)
        importlib.import_module(name)
        sys.modules.pop(name)
    sys.modules.pop("shop")


def test_the_table_of_settings_is_the_one_that_the_code_has() -> None:
    shown = README.split("<!-- settings: begin -->\n")[1].split("\n<!-- settings: end -->")[0]

    assert settings.table() == shown


def test_every_setting_has_a_meaning() -> None:
    assert set(settings.Settings.__struct_fields__) == set(settings.HELP)


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("[!.]*/**/*.md")), ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


METRICS = ("jobs.py", "queue_depths.py", "http.py", "exposition.py")


def test_the_metrics_that_the_readme_names_exist() -> None:
    modules = [(ROOT / "ironforge" / "metrics" / name).read_text(encoding="utf-8") for name in METRICS]
    source = "".join(ast.unparse(ast.parse(text)) for text in modules)

    for name in re.findall(r"`(ironforge_\w+)", README):
        assert name in source


def test_the_tests_that_the_security_document_names_exist() -> None:
    document = (ROOT / "ironforge" / "auth" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/\S+\.py)`", document)

    assert len(named) >= 10
    assert [] == [path for path in named if not (ROOT / path).exists()]
