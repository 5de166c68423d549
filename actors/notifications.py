"""Passes on what the namespace announces to its nodes: cancellations, schedules that became earlier, room in a limit.

Announcements can be lost while the connection is down, so after every (re)connection the dispatcher looks for itself.
"""

from __future__ import annotations

from ironforge.actors.kernel import Actor
from ironforge.actors.messages import Cancel, DueAt, Fenced, Reconnected
from ironforge.actors.session import Session
from ironforge.store import Notifications as SignalSource


class Notifications(Actor):
    def __init__(self, session: Session, source: SignalSource) -> None:
        self._session = session
        self._source = source

    async def started(self) -> None:
        self._work = await self._session.work()
        self._dispatcher = self._session.role("dispatcher")
        self._lease = self._session.role("lease")
        self._retry_timer = self._session.role("retry_timer")
        self._work = await self._session.work()
        self.background(self._listen(), name="listen")

    async def _listen(self) -> None:
        async for signal in self._source.listen():
            match signal.name:
                case "cancel":
                    await self._dispatcher.tell(Cancel(signal.job_id))
                case "due":
                    await self._retry_timer.tell(DueAt(signal.due_ms))
                case "fenced":
                    await self._lease.tell(Fenced(signal.node))
                case "room":
                    self.background(self._work.wake())
                case "connected":
                    await self._dispatcher.tell(Reconnected())
