"""The contract's part on jobs that run with nothing else on their node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ironforge.store.contract import Delivery


class Alone(Protocol):
    """Jobs that run with nothing else on their node. Raises LeaseLost as `Consumer` does."""

    @property
    def wait(self) -> bool:
        """Whether there are some, by the last look at the queues that are not paused."""

    async def claim(self) -> bool:
        """Whether it is this node's turn to run them, until it unclaims it or its lease ends.

        One node of a namespace has it at a time.
        """

    async def fetch(self) -> list[Delivery]:
        """The first of them, when there is one still. That it is delivered announces its run: if this node dies before
        the job is settled or put somewhere else, it was this job."""

    async def unclaim(self) -> None: ...
