"""What the search for garbage leaves out: everything that was loaded before a node or the API begins.

Python looks at all objects again and again. With those of modules, some 40 ms each time in which nothing else runs.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loaded_set_apart() -> Iterator[None]:
    """What is there now is not looked at in the block; what is garbage by now goes first."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
