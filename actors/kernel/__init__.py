"""An actor kernel: mailboxes, supervision and time, with no idea of what the actors do."""

from ironforge.actors.kernel.actor import Actor, handles
from ironforge.actors.kernel.clock import Cancellable, Clock, ManualClock, SystemClock
from ironforge.actors.kernel.errors import (
    ActorDead,
    ActorError,
    ActorFailed,
    AskTimeout,
    BadFrame,
    BeginAnew,
    MailboxFull,
    RestartsExceeded,
    SelfAsk,
)
from ironforge.actors.kernel.frames import Down, Exit, Frame, Message, Signal, Stop, decode, encode, message
from ironforge.actors.kernel.mailbox import Mailbox
from ironforge.actors.kernel.owned_tasks import Timer
from ironforge.actors.kernel.policy import ChildSpec, Restart, RestartBudget, Strategy, should_restart
from ironforge.actors.kernel.ref import ActorRef
from ironforge.actors.kernel.supervisor import Supervisor
from ironforge.actors.kernel.system import ActorSystem

__all__ = [
    "Actor",
    "ActorDead",
    "ActorError",
    "ActorFailed",
    "ActorRef",
    "ActorSystem",
    "AskTimeout",
    "BadFrame",
    "BeginAnew",
    "Cancellable",
    "ChildSpec",
    "Clock",
    "Down",
    "Exit",
    "Frame",
    "Mailbox",
    "MailboxFull",
    "ManualClock",
    "Message",
    "Restart",
    "RestartBudget",
    "RestartsExceeded",
    "SelfAsk",
    "Signal",
    "Stop",
    "Strategy",
    "Supervisor",
    "SystemClock",
    "Timer",
    "decode",
    "encode",
    "handles",
    "message",
    "should_restart",
]
