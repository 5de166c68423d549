"""How a bug gets into a script."""

from __future__ import annotations

from ironforge.redis.scripts import Script


def edit(script: Script, *changes: tuple[str, str]) -> None:
    """Changes the text of a script; it is then always sent as text, so that nobody runs the original."""
    text = script.text
    for old, new in changes:
        assert old in text, (script.name, old)
        text = text.replace(old, new)
    script.text = text
    script.by_hash = script.by_text  # type: ignore[method-assign]
