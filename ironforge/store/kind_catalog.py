"""The kinds of a namespace as a door goes by them: read in the background, looked up in memory.

What was known stays in use while the server is away: a door that forgot would send jobs to other queues meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import islice
from typing import Final

from ironforge.errors import InvalidJob, StoreError, StoreUnavailable
from ironforge.formats.suggest import closest
from ironforge.logs.setup import get_logger
from ironforge.logs.unknown_kinds import UnknownKinds
from ironforge.process.background import in_background
from ironforge.settings import Settings
from ironforge.store.contract import Inspector
from ironforge.store.kinds import Kind, Kinds

# A definition that a node announces counts at every door after this time.
REFRESH_SECONDS: Final = 1.0
# Looking for what was meant takes 10 us a name.
NAMES_COMPARED: Final = 1_000

# What is known of a kind; None: nothing. Raises InvalidJob where it must be known, StoreUnavailable where it cannot be.
LookUp = Callable[[str], Kind | None]

_log = get_logger("ironforge.store")


def nothing_known(_kind: str) -> None:
    """A LookUp of a door without a catalog."""


class KindCatalog:
    """`unknown_kinds` of the settings says what becomes of jobs of kinds that are not known."""

    def __init__(self, inspector: Inspector, settings: Settings) -> None:
        self.unknown = UnknownKinds()
        self._inspector = inspector
        self._refuses = settings.unknown_kinds == "refuse"
        self._kinds: Kinds | None = None
        self._known: Mapping[str, Kind] = {}
        self._due = 0.0

    def look_up(self, kind: str, *, hints: bool = True) -> Kind | None:
        """See `LookUp`. `hints`: the error names a kind that may have been meant."""
        known = self.known(kind)
        if known is None and self._refuses:
            self._check_run(kind, hints=hints)
        return known

    def _check_run(self, kind: str, *, hints: bool) -> None:
        if self._kinds is None:
            raise StoreUnavailable("which kinds are known could not be read yet, and others are refused here")
        if self._kinds.is_run(kind):
            return  # there was no room for its definition, or a node says nothing of its kinds
        close = closest(kind, [*islice(self._known, NAMES_COMPARED)]) if hints else None
        advice = f"did you mean {close!r}?" if close else "start a node that runs it"
        message = f"kind {kind!r} is not known, no node has announced it: {advice}"
        raise InvalidJob(message, code="unknown_kind", field="kind", hint=close)

    def known(self, kind: str) -> Kind | None:
        """What nodes announced of it."""
        return self._known.get(kind)

    def is_served(self, kind: str, queue: str) -> bool:
        """Whether a node runs this kind and takes jobs from this queue; True while that is not known."""
        return self._kinds is None or any(self._kinds.serving(queue, kind))

    async def refresh(self) -> None:
        """Read anew. In an outage what was known stays, and is asked for again with the next call."""
        self._due = time.monotonic() + REFRESH_SECONDS
        try:
            self._kinds = await self._inspector.kinds()
        except StoreError as error:
            _log.debug("the kinds could not be read", error=str(error))
        else:
            self._known = self._kinds.known

    async def refresh_if_due(self) -> None:
        """For a door that has nothing running in the background."""
        if time.monotonic() >= self._due:
            await self.refresh()

    @contextlib.asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[None]:
        """Read before the block, and again and again while it runs."""
        await self.refresh()
        async with in_background(self._refresh_forever(), "kinds"):
            yield

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self.refresh()
