"""What the kernel says about a process: its memory and its processor time."""

from __future__ import annotations

import os
import re
from pathlib import Path


def pss_mb(pid: int) -> float:
    """Proportional set size: what it shares with others is counted once among them."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """User and system time together, since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
