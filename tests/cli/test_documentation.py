"""`ironforge docs`: the manual of the installed package, page by page."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess

import pytest

from tests.cli.kit import IRONFORGE, environment, ironforge
from tests.docs.pages import MANUAL

PAGES = sorted(path.stem for path in MANUAL.glob("*.md") if path.stem != "README")


def test_the_list_of_pages_names_each_once() -> None:
    listed = re.findall(r"\[(\w+)\]\(\w+\.md\)", ironforge("docs").stdout)

    assert sorted(listed) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_page_comes_as_it_is_written(page: str) -> None:
    assert ironforge("docs", page).stdout == (MANUAL / f"{page}.md").read_text(encoding="utf-8")


def test_a_section_ends_where_the_next_one_begins() -> None:
    shown = ironforge("docs", "handlers#retries").stdout

    assert shown.startswith("## Retries\n")
    assert shown.count("\n## ") == 0


def test_a_terminal_shows_it_without_marks() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen([*IRONFORGE, "docs", "command_line"], stdout=theirs, env=environment()) as process:
        os.close(theirs)
        shown = b""
        # It ends with an error when the last process has left the terminal.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65_536):
                shown += part
    os.close(ours)

    assert process.returncode == 0
    assert "ironforge jobs list" in shown.decode()
    assert "```" not in shown.decode()


def test_a_search_says_where_a_word_stands() -> None:
    lines = ironforge("docs", "--search", "FAIRNESS_KEY").stdout.splitlines()

    assert any(line.startswith("operating#tenants: ") for line in lines)
    assert [line for line in lines if "fairness_key" not in line] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("handlrs",), "there is no page 'handlrs': did you mean 'handlers'?"),
        (("zzz",), f"there is no page 'zzz': there are {', '.join(PAGES)}"),
        (("handlers#retrys",), "there is no section of handlers 'retrys': did you mean 'retries'?"),
        (("handlers#zzz",), "there is no section of handlers 'zzz': there are context, events, "),
        (("--search", "zyzzyva"), "no page has 'zyzzyva'"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(arguments: tuple[str, ...], told: str) -> None:
    done = ironforge("docs", *arguments)

    assert done.returncode == 2
    assert told in " ".join(re.sub("[│\n]", " ", done.stderr).split())
