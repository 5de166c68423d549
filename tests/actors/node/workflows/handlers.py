"""Handlers of nodes, which run in threads or processes; child processes import them by name."""

from __future__ import annotations

from typing import Any

import msgspec

from ironforge import Context


class Page(msgspec.Struct):
    url: str
    size: int


def page(page: Page, context: Context) -> list[Any]:
    assert context.workflow is not None
    return [page.url, page.size, context.workflow.node]


def outside(context: Context) -> Any:
    return context.workflow
