"""Roll-outs while other things go wrong: every node is replaced by the newer version of its application, and back.

The older one does not know one of the kinds: its jobs wait while no newer node is there.
"""

from __future__ import annotations

import random

from ironforge.verify.handlers import NEWER
from tests.system.chaos.installation import Fault, Installation


async def roll_out(here: Installation, rng: random.Random) -> None:
    """Back where all are newer, and to the newer version where any is older; each node notes it itself."""
    is_newer = all(version == NEWER for site in here.sites for version in site.nodes.versions)
    for site in here.sites:
        if is_newer or NEWER not in site.nodes.versions:
            await site.nodes.hurt(rng, ("deploy",))


FAULTS: dict[str, Fault] = {"deploy": roll_out}
