"""`ironforge doctor`: the problems of an installation, how bad each is, and how to mend it."""

from __future__ import annotations

from ironforge.doctor.deploy import examine_deploy
from ironforge.doctor.finding import Finding
from ironforge.doctor.installation import examine
from ironforge.doctor.shard import clock_finding

__all__ = ["Finding", "clock_finding", "examine", "examine_deploy"]
