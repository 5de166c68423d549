"""An actor kernel: mailboxes, supervision and time, with no idea of what the actors do."""

from actors.kernel.actor import Actor, handles
from actors.kernel.belongings import Timer
from actors.kernel.clock import Cancellable, Clock, ManualClock, SystemClock
from actors.kernel.errors import (
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
from actors.kernel.frames import Down, Exit, Frame, Message, Signal, Stop, decode, encode, message
from actors.kernel.mailbox import Mailbox
from actors.kernel.policy import ChildSpec, Restart, RestartBudget, Strategy, should_restart
from actors.kernel.ref import ActorRef
from actors.kernel.supervisor import Supervisor
from actors.kernel.system import ActorSystem

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
