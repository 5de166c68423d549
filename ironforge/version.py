"""The version of this package: in a file that imports nothing, so that every module may import it."""

from typing import Final

VERSION: Final = "0.1.0"
