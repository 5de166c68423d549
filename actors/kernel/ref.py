"""A reference to an actor: an address that is resolved anew at every send.

So a reference outlives restarts, even of a whole subtree. The price is one dictionary look-up per message.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from ironforge.actors.kernel.directory import Directory
from ironforge.actors.kernel.errors import ActorDead, ActorError, AskTimeout, SelfAsk
from ironforge.actors.kernel.frames import Message, Stop, encode, unpack
from ironforge.actors.kernel.mailbox import Mailbox

# Two variables, because a background task sends in its actor's name but may wait for its actor's answer.
acting_as: ContextVar[str | None] = ContextVar("acting_as", default=None)
receiving: ContextVar[str | None] = ContextVar("receiving", default=None)


@dataclass(frozen=True, slots=True)
class ActorRef:
    """The address of an actor, alive or not."""

    address: str
    _directory: Directory = field(repr=False)

    async def tell(self, message: Message) -> None:
        """Send, waiting for room. Raises ActorDead, BadFrame, and MailboxFull to a full oneself.

        Wait only for actors that never wait for you: two full mailboxes can wait for each other for ever.
        """
        if receiving.get() == self.address:
            self.try_tell(message)  # only the waiting actor itself could make room
        else:
            await self._mailbox().put(encode(message, acting_as.get()))

    def try_tell(self, message: Message) -> None:
        """Send without waiting. Raises MailboxFull, ActorDead, BadFrame."""
        self._mailbox().try_put(encode(message, acting_as.get()))

    async def ask(self, message: Message, *, timeout_seconds: float) -> Any:
        """Send and wait for the handler's return value, sequences as tuples.

        Raises AskTimeout (room and answer together took too long), ActorFailed (the handler crashed or there
        is none), ActorDead, BadFrame, SelfAsk.
        """
        if receiving.get() == self.address:
            raise SelfAsk(f"{self.address} asked itself; call the method, or ask from a background task")
        with self._directory.asks.opened(self.address) as (ask, reply):
            frame = encode(message, acting_as.get(), ask)
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._mailbox().put(frame)
                    answer = await reply
            except TimeoutError:
                what = type(message).__name__
                raise AskTimeout(f"{self.address} gave no answer to {what} in {timeout_seconds} s") from None
        if isinstance(answer, ActorError):
            raise answer
        return unpack(answer)

    def stop(self, reason: str = "stopped") -> None:
        """End the current incarnation after the message in hand; no effect on a dead actor."""
        mailbox = self._directory.mailboxes.get(self.address)
        if mailbox is not None:
            mailbox.signal(Stop(reason))

    def _mailbox(self) -> Mailbox:
        mailbox = self._directory.mailboxes.get(self.address)
        if mailbox is None:
            raise ActorDead(f"no actor lives at {self.address}")
        return mailbox
