"""How a test changes scripts: for a clock of its own, or to plant a bug."""

from __future__ import annotations

import hashlib

import pytest

from ironforge.redis.scripts import Script


def edit(monkeypatch: pytest.MonkeyPatch, script: Script, old: str, new: str) -> None:
    text = script.text.replace(old, new)
    monkeypatch.setattr(script, "text", text)
    monkeypatch.setattr(script, "sha", hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
