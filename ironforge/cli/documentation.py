"""`ironforge docs`: the manual in a terminal. It is Markdown, and stays it where the output is piped."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Annotated, Final

import typer

from ironforge.cli import output
from ironforge.formats.suggest import closest

INDEX: Final = "README"


def docs(
    page: Annotated[
        str, typer.Argument(metavar="PAGE[#SECTION]", help="such as handlers, or handlers#retries")
    ] = INDEX,
    search: Annotated[str | None, typer.Option(metavar="WORD", help="list the lines of all pages that have it")] = None,
) -> None:
    """Show the manual: what pages it has, one of them, or a section of one."""
    pages = {path.name.removesuffix(".md"): path.read_text("utf-8") for path in (files("ironforge") / "docs").iterdir()}
    if search is not None:
        _search(pages, search)
        return
    name, _, section = page.partition("#")
    text = pages[_known(name, pages, "page")]
    if section:
        sections = _sections(text)
        text = sections[_known(section, sections, f"section of {name}")]
    if output.out.is_terminal:
        from rich.markdown import Markdown  # noqa: PLC0415 - only this command pays for it

        output.out.print(Markdown(text))
    else:
        output.out.out(text, end="", highlight=False)


def _known(name: str, names: dict[str, str], what: str) -> str:
    if name in names:
        return name
    close = closest(name, names)
    hint = f"did you mean {close!r}?" if close else f"there are {', '.join(sorted(set(names) - {INDEX, ''}))}"
    raise typer.BadParameter(f"there is no {what} {name!r}: {hint}")


def _sections(text: str) -> dict[str, str]:
    """Anchor, as links to a heading have it, and text; the part before the first one has the anchor ``."""
    before, *others = text.split("\n## ")
    return {"": before, **{anchor(part.partition("\n")[0]): f"## {part}\n" for part in others}}


def anchor(heading: str) -> str:
    """What a link to the heading ends with, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _search(pages: dict[str, str], word: str) -> None:
    found = [
        f"{name}#{place}".removesuffix("#") + f": {line}"
        for name, text in sorted(pages.items())
        for place, section in _sections(text).items()
        for line in section.splitlines()
        if word.casefold() in line.casefold()
    ]
    if not found:
        raise typer.BadParameter(f"no page has {word!r}")
    for line in found:
        output.line(line)
