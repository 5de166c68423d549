"""The version of this package: in a file that imports nothing, for whoever may not import the package's own front."""

from typing import Final

VERSION: Final = "0.1.0"
