"""Reading what is known of kinds: one script looks at definitions and leases at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from ironforge.job.checked_options import CheckedOptions
from ironforge.job.definition import KindDefinition, decode_definition, door_defaults
from ironforge.redis.keys import Keys
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import KINDS
from ironforge.store.kinds import KEPT_MS, NOTED_MS, Kind, Kinds, KindVersion
from ironforge.store.pending_jobs import Run, read_roster, read_runs
from ironforge.workflows.jobs import MAP_KIND

# And what a door makes of it.
_Definition: TypeAlias = tuple[KindDefinition, CheckedOptions]


class KindsReader:
    """Reads the kinds of a namespace; definitions that have not changed since the last reading are not read again."""

    def __init__(self, keys: Keys, run: Run) -> None:
        self._keys = keys
        self._run = run
        self._revision = b"-"
        self._stored: dict[str, list[KindVersion]] = {}
        self._decoded: dict[str, _Definition] = {}
        self._made_of: object = None
        self._known: Mapping[str, Kind] = {}

    async def read(self) -> Kinds:
        """Raises what redis-py raises."""
        had = self._revision
        now_ms, revision, names, roster, announced, stored = await self._run(KINDS, KINDS.keys(self._keys), [had])
        if revision != had:  # not what is had by now: another reading may have been faster
            self._stored = dict(self._kinds(stored))
            self._revision = revision
        held = {name.decode(errors="replace") for name in names}
        nodes = {name: about for name, about in read_roster(roster).items() if name in held}
        runs = {name: kinds for name, kinds in read_runs(announced).items() if name in held}
        made_of = revision, runs, now_ms // NOTED_MS
        if made_of != self._made_of:
            self._known = _with_nodes(self._stored, runs, now_ms - KEPT_MS)
            self._made_of = made_of
        return Kinds(now_ms, self._known, nodes, runs)

    def _kinds(self, stored: Sequence[bytes]) -> Iterator[tuple[str, list[KindVersion]]]:
        """With definitions as they were decoded before, where these have not changed: a restart changes times alone."""
        before, self._decoded = self._decoded, {}
        for name, versions in pairs(stored):
            kind = name.decode(errors="replace")
            try:
                rows = _decode(versions)
            except (msgspec.MsgspecError, ValueError):
                continue  # also the field that has the revision
            known = []
            for digest, announced_ms, seen_ms, text in rows:
                definition, defaults = self._decoded[text] = before.get(text) or _definition(text)
                known.append(KindVersion(digest, announced_ms, seen_ms, definition, defaults))
            if known:
                yield kind, known


_decode: Final = msgspec.json.Decoder(list[tuple[str, int, int, str]]).decode


def _definition(text: str) -> _Definition:
    definition = decode_definition(text)
    return definition, door_defaults(definition)


def _with_nodes(
    stored: Mapping[str, Sequence[KindVersion]], runs: Mapping[str, Mapping[str, str]], since_ms: int
) -> dict[str, Kind]:
    """Without those that no node runs and none was seen with since then, and those that are of no application."""
    nodes: dict[tuple[str, str], list[str]] = {}
    for node in sorted(runs):
        for one in runs[node].items():
            nodes.setdefault(one, []).append(node)
    found = {}
    for name, known in stored.items():
        versions = [each._replace(nodes=nodes.get((name, each.digest), ())) for each in known]
        if name != MAP_KIND and any(each.nodes or each.seen_ms >= since_ms for each in versions):
            found[name] = Kind.of(name, versions)
    return found
