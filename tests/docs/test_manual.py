"""Every page does what it says: its commands run, its programs run, its links lead somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

from ironforge.api import openapi
from ironforge.auth.caller import SCOPES
from ironforge.cli.app import app
from ironforge.cli.documentation import anchor
from tests.docs.pages import API, MANUAL, ROOT, Block, Reader, section
from tests.docs.tables import TABLES, place_of
from tests.support.servers import valkey

README = ROOT / "README.md"
# The first steps have tests of their own.
PAGES = [README, *sorted(set(MANUAL.glob("*.md")) - {MANUAL / "first_steps.md"})]


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    with valkey() as url, Reader(tmp_path, url) as reader:
        reader.read(section(page))


def test_a_call_that_is_refused_is_no_example(tmp_path: Path) -> None:
    with valkey() as url, Reader(tmp_path, url) as reader, pytest.raises(AssertionError, match="job_not_found"):
        reader.read([Block("sh", "", f"curl -s {API}/jobs/01a20cb5-64a0-7717-88ee-385134209657")])


@pytest.mark.parametrize("document", [*ROOT.glob("*.md"), *sorted(ROOT.glob("[!.]*/**/*.md"))], ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        if "://" not in target:
            found = document.parent / path if path else document
            assert found.exists(), target
            assert not heading or heading in anchors(found), target


def anchors(document: Path) -> list[str]:
    return [anchor(heading) for heading in re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)]


def test_the_readme_can_be_read_at_once() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200


def test_the_tree_of_the_readme_is_the_one_that_is_there() -> None:
    shown = re.findall(r"^  (\w+)/ ", README.read_text(encoding="utf-8"), re.MULTILINE)
    there = [path.name for part in ("actors", "ironforge") for path in (ROOT / part).glob("[!_.]*/") if path.is_dir()]

    assert sorted(shown) == sorted(set(there) - {"actors"})


def test_the_manual_has_every_command() -> None:
    page = (MANUAL / "command_line.md").read_text(encoding="utf-8")
    shown = set()
    for cell in re.findall(r"^\| (`ironforge .*?) \|", page, re.MULTILINE):
        group = ""
        for code in re.findall(r"`([^`]+)`", cell):
            words = [word for word in code.split() if word.isalpha() and word.islower()]
            group = words[1] if words[0] == "ironforge" else group
            shown.add(" ".join(words[1:] if words[0] == "ironforge" else [group, *words]))
    there = {
        f"{name} {part}".strip()
        for name, command in typer.main.get_command(app).commands.items()
        for part in (*getattr(command, "commands", [""]), *([""] * getattr(command, "invoke_without_command", False)))
        if not command.hidden
    }

    assert shown == there


def test_the_manual_has_every_call_of_the_api() -> None:
    page = (MANUAL / "http.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[A-Z]+ /.*?) \|", page, re.MULTILINE)
    shown = {(method.lower(), path) for cell in cells for method, path in re.findall(r"`([A-Z]+) (\S+)`", cell)}

    assert shown == {(method, path) for path, calls in openapi.document(auth=True)["paths"].items() for method in calls}


def test_the_manual_has_every_scope() -> None:
    text = (MANUAL / "security.md").read_text(encoding="utf-8")
    shown = re.findall(r"`(\w+:\w+)`", text.split("## Scopes")[1].split("##")[0])

    assert set(shown) == set(SCOPES)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_the_one_that_the_code_makes(name: str) -> None:
    page, make = TABLES[name]
    shown = place_of(name).search(page.read_text(encoding="utf-8"))

    assert shown is not None
    assert shown[0] == make(), "python -m tests.docs.tables writes it anew"


def test_the_metrics_that_the_manual_names_exist() -> None:
    modules = [path.read_text(encoding="utf-8") for path in (ROOT / "ironforge" / "metrics").glob("*.py")]
    source = "".join(ast.unparse(ast.parse(text)) for text in modules)
    named = re.findall(r"`(ironforge_\w+)", (MANUAL / "operating.md").read_text(encoding="utf-8"))

    assert len(named) >= 25
    assert [name for name in named if name not in source] == []


def test_the_tests_that_the_security_document_names_exist() -> None:
    document = (ROOT / "ironforge" / "auth" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/\S+\.py)`", document)

    assert len(named) >= 10
    assert [path for path in named if not (ROOT / path).exists()] == []
