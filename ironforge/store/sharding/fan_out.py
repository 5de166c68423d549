"""Asking several shards at once, so that one that does not answer keeps nobody waiting for the others.

A question that is late stays under way: its answer counts in a later round, and until then its shard is not asked
again. What a shard has delivered is never dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, Generic, TypeVar

# Longer than any healthy server takes. It is paid once by the round in which a shard goes away.
PATIENCE_SECONDS: Final = 0.25

T = TypeVar("T")


class FanOut(Generic[T]):
    """At most one question of one kind to each part."""

    def __init__(self) -> None:
        self._asked: dict[int, asyncio.Task[T]] = {}

    @property
    def late(self) -> bool:
        return bool(self._asked)

    def asked(self, part: int) -> bool:
        """Whether a question is under way, or its answer has not been taken yet."""
        return part in self._asked

    def waiting(self, part: int) -> bool:
        return part in self._asked and not self._asked[part].done()

    def ask(self, part: int, question: Coroutine[Any, Any, T]) -> None:
        self._asked[part] = asyncio.create_task(question, name=f"question to shard {part}")

    async def answers(
        self,
        *,
        return_when: str = asyncio.ALL_COMPLETED,
        timeout_seconds: float = PATIENCE_SECONDS,
    ) -> dict[int, T]:
        """Those that are there by then. Raises what a question raised; the answers of the others are kept."""
        if self._asked:
            try:
                await asyncio.wait(self._asked.values(), timeout=timeout_seconds, return_when=return_when)
            except asyncio.CancelledError:
                await self.stop()
                raise
        done = {part: task for part, task in self._asked.items() if task.done()}
        failed = next((part for part, task in done.items() if not _answered(task)), None)
        if failed is not None:
            return {failed: self._asked.pop(failed).result()}
        for part in done:
            del self._asked[part]
        return {part: task.result() for part, task in done.items()}

    async def stop(self) -> None:
        """Cancels what is under way. What has been answered already is answered in the next round."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
        self._asked = {part: task for part, task in self._asked.items() if _answered(task)}


def _answered(task: asyncio.Task[T]) -> bool:
    return not task.cancelled() and task.exception() is None


async def gather_all(questions: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All answers. An error is raised only after every question has come to its end."""
    replies = await asyncio.gather(*questions, return_exceptions=True)
    answers: list[T] = []
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
        answers.append(reply)
    return answers
