"""What an application's nodes announce of its kinds."""

from __future__ import annotations

from ironforge.errors import ConfigError
from ironforge.handlers.forge import Forge
from ironforge.job.definition import MAX_KINDS, Announcement


def announcements_of(forge: Forge, version: str) -> list[Announcement]:
    """`version`: the application's. Raises ConfigError when there are too many kinds."""
    if len(forge.kinds) > MAX_KINDS:
        raise ConfigError(
            f"this application registers {len(forge.kinds)} kinds, and a node announces {MAX_KINDS} at most: "
            "use one kind for jobs that the same handler runs, and tell them apart by their payloads"
        )
    handlers = map(forge.handler, forge.kinds)
    return [Announcement.of(each.kind, version, each.options, None) for each in handlers]
