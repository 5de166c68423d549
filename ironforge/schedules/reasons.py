"""Why a tick was skipped, or a job started at none: by the words of histories, answers and metrics, for people."""

from __future__ import annotations

from typing import Final

OUT_OF_TURN: Final = {
    "trigger": "triggered",
    "backfill": "backfilled",
}
# Beside these there are the codes of what refused a job.
SKIPPED: Final = {
    "overlap": "its last run had not ended",
    "missed": "nothing could start it in time",
    "paused": "it was paused",
    "redefined": "it was defined anew",
}
