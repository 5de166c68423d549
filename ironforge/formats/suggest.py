"""Which name was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def closest(name: str, names: Collection[str], *, alike: float = 0.6) -> str | None:
    """The one of `names` that is most like `name`; None when nothing is. `alike`: how much it has to be, up to 1."""
    # Nothing that much longer is alike to difflib, which needs 0.13 s to say so of 1 MB.
    if len(name) > 3 * max(map(len, names), default=0):
        return None
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=alike)), None)
