"""Where one message of the server's protocol ends: enough of RESP to count requests and replies, and no more.

hiredis parses it as well, and does not tell how many bytes a message had; a proxy has to pass on exactly those.
"""

from __future__ import annotations

_LINE = b"+-:,#_("
_BULK = b"$=!"
_AGGREGATE = b"*~>"
_MAP = b"%|"


class Frames:
    """Cuts a stream of bytes into whole messages; the rest waits for more."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        frames, at = [], 0
        while (end := _end(self._buffer, at)) is not None:
            frames.append(bytes(self._buffer[at:end]))
            at = end
        del self._buffer[:at]
        return frames


def words(frame: bytes) -> list[bytes]:
    """The words of a request."""
    found, at = [], frame.index(b"\r\n") + 2
    while at < len(frame):
        start = frame.index(b"\r\n", at) + 2
        end = start + int(frame[at + 1 : start - 2])
        found.append(frame[start:end])
        at = end + 2
    return found


def _end(buffer: bytearray, at: int) -> int | None:
    """The offset after the message that starts at `at`; None: it is not complete yet."""
    line = buffer.find(b"\r\n", at)
    if line < 0:
        return None
    kind, end = buffer[at], line + 2
    if kind in _LINE:
        return end
    count = int(buffer[at + 1 : line])
    if kind in _BULK:
        end += count + 2 if count >= 0 else 0
        return end if end <= len(buffer) else None
    if kind not in _AGGREGATE + _MAP:
        raise ValueError(f"no message of this protocol starts with {chr(kind)!r}")
    for _ in range(count * (2 if kind in _MAP else 1)):
        following = _end(buffer, end)
        if following is None:
            return None
        end = following
    return end
