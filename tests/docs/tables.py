"""The tables of the manual that are made from what the code declares.

    python -m tests.docs.tables

writes them anew.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from ironforge.codes import STATUS
from ironforge.handlers.events import EVENTS, NodeEvent
from ironforge.job.options import JobOptions, KindOptions
from ironforge.redis.key_spec import KeySpace
from ironforge.redis.keys import Keys
from ironforge.redis.ring_keys import RingKeys
from ironforge.settings.loading import table as settings
from tests.docs.pages import MANUAL


def options() -> str:
    rows = []
    for name, hint in get_type_hints(JobOptions, include_extras=True).items():
        given, meta = get_args(hint)
        kind = "yes" if name in KindOptions.__struct_fields__ else ""
        rows.append((f"`{name}`", kind, values(get_args(given)[0], meta.extra_json_schema or {}), meta.description))
    return rows_of(("option", "also of a kind", "values", "meaning"), rows)


def values(kind: type, schema: dict[str, Any]) -> str:
    if "minimum" in schema:
        return " to ".join(f"{bound:,}".removesuffix(".0") for bound in (schema["minimum"], schema["maximum"]))
    if "pattern" in schema:
        return "a name"
    struct = next((each for each in (kind, *get_args(kind)) if hasattr(each, "__struct_encode_fields__")), None)
    if struct is not None:
        return ", ".join(f"`{field}`" for field in struct.__struct_encode_fields__)
    return ", ".join(map(str, get_args(kind))) or "a time"


def events() -> str:
    return rows_of(
        ("event", "when", "told"), [(f"`{name}`", when, told(kind)) for name, (kind, when) in EVENTS.items()]
    )


def told(kind: type[NodeEvent]) -> str:
    base = kind.__bases__[0]
    inherited = getattr(base, "__struct_fields__", ())
    own = ", ".join(f"`{field}`" for field in kind.__struct_fields__ if field not in inherited)
    return f"`{kind.__name__}`: {own}" + (f", and all of `{base.__name__}`" if inherited else "")


def codes() -> str:
    statuses = sorted(set(STATUS.values()))
    rows = [(str(status), ", ".join(f"`{code}`" for code in STATUS if STATUS[code] == status)) for status in statuses]
    return rows_of(("status", "codes"), rows)


def keys(space: type[KeySpace], prefix: str) -> str:
    rows = [
        (f"`{prefix}{spec.name}`", f"{spec.type}, {spec.lifetime}", spec.holds, spec.without)
        for spec in space.specs().values()
    ]
    return rows_of(("key", "type", "holds", "while something else stands there"), rows)


def rows_of(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ("---",) * len(columns), *rows))


TABLES: Final[dict[str, tuple[Path, Callable[[], str]]]] = {
    "settings": (MANUAL / "settings.md", settings),
    "options": (MANUAL / "handlers.md", options),
    "codes": (MANUAL / "http.md", codes),
    "events": (MANUAL / "handlers.md", events),
    "keys": (MANUAL.parent / "README.md", functools.partial(keys, Keys, "if:T:")),
    "auth keys": (MANUAL.parent / "README.md", functools.partial(keys, RingKeys, "")),
}


def place_of(name: str) -> re.Pattern[str]:
    """What stands between the two comments around a table."""
    return re.compile(rf"(?<=<!-- {name}: begin -->\n).*(?=\n<!-- {name}: end -->)", re.DOTALL)


if __name__ == "__main__":
    for table_name, (page, make) in TABLES.items():
        text = page.read_text(encoding="utf-8")
        page.write_text(place_of(table_name).sub(lambda _: make(), text), encoding="utf-8")  # noqa: B023
