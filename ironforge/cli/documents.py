"""Files that a command sends to the API: TOML or JSON, as JSON with nothing in it that the API would refuse."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Final

from ironforge.codes import Code
from ironforge.errors import InvalidJob, SerializationError
from ironforge.job.checks import MAX_VALUES
from ironforge.job.json_values import encode

_FORMATS: Final = (".toml", ".json")
STDIN: Final = Path("-")


def read_document(path: Path, what: str, code: Code, *, most: int = MAX_VALUES) -> bytes:
    """JSON as it stands in the file, or what the TOML means. `-`: JSON from stdin. `what` it holds, for the message.
    Raises InvalidJob with this code, which names the file and the place in it."""
    if path != STDIN and path.suffix not in _FORMATS:
        message = f"{path}: {what} is TOML or JSON: give one whose name ends with {' or '.join(_FORMATS)}"
        raise InvalidJob(message, code=code)
    try:
        content = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    except OSError as error:
        raise InvalidJob(f"{path}: {error.strerror}", code=code) from None
    if path.suffix == ".toml":
        return _from_toml(path, content, code)
    from ironforge.api.parsing.strict_json import InvalidJson, canonical  # noqa: PLC0415

    try:
        canonical(content, most=most)
    except InvalidJson as error:
        raise InvalidJob(f"{path}: {str(error).replace('the body', 'it', 1)}", code=code) from None
    return content


def _from_toml(path: Path, content: bytes, code: Code) -> bytes:
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidJob(f"{path}: this is not TOML: {error}", code=code) from None
    try:
        return encode(document, str(path))
    except SerializationError as error:
        raise InvalidJob(str(error).replace(f"{path}.", f"{path}: ", 1), code=code) from None
