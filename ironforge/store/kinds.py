"""The kinds of a namespace, as its nodes announced them: what doors go by, and which nodes run them.

Definitions outlive their nodes, for installations that scale to zero; that a node runs a kind ends with its lease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from ironforge.job.checked_options import CheckedOptions
from ironforge.job.definition import KindDefinition
from ironforge.job.options import JobOptions
from ironforge.job.payload_schema import check_payload
from ironforge.store.counts import VersionLine
from ironforge.store.node_view import About
from ironforge.store.versions import in_line

# How long a definition is kept after the last node that had it, and how exactly that time is noted.
KEPT_MS: Final = 30 * 86_400_000
NOTED_MS: Final = 3_600_000
# Definitions that are kept of a kind, and kinds that a namespace keeps.
VERSIONS_KEPT: Final = 8
KINDS_KEPT: Final = 10_000


class KindVersion(NamedTuple):
    """`announced_ms`: when a node first joined with it; `seen_ms`: when one that runs it was last noted.
    `defaults`: what a door makes of its options. `nodes` that run it, sorted."""

    digest: str
    announced_ms: int
    seen_ms: int
    definition: KindDefinition
    defaults: CheckedOptions
    nodes: Sequence[str] = ()


class Kind(NamedTuple):
    """`versions`: the one that counts first. `defaults`: its own. `schemas`: encoded; a door takes payloads that one of
    them accepts, and all when there is none."""

    name: str
    versions: Sequence[KindVersion]
    defaults: CheckedOptions
    schemas: Sequence[str] = ()

    @classmethod
    def of(cls, name: str, versions: Sequence[KindVersion]) -> Kind:
        """`versions`: the one first announced last in front. Of those that nodes run it counts, however often nodes of
        older ones start again; where none is run, the one that was seen last. A door checks payloads by all that nodes
        run, or by the one that counts; a version without schema may take anything."""
        live = [version for version in versions if version.nodes]
        counts = live[0] if live else max(versions, key=lambda version: version.seen_ms)
        counting = live or [counts]
        schemas = [version.definition.schema for version in counting]
        encoded = (
            () if None in schemas else tuple(dict.fromkeys(msgspec.json.encode(each).decode() for each in schemas))
        )
        others = [version for version in versions if version is not counts]
        return cls(name, [counts, *others], counts.defaults, encoded)

    @property
    def definition(self) -> KindDefinition:
        return self.versions[0].definition

    @property
    def queue(self) -> str:
        """Where its jobs go that name no queue."""
        return self.defaults.record.queue

    @property
    def live(self) -> Sequence[KindVersion]:
        """Those that some node runs."""
        return [version for version in self.versions if version.nodes]

    @property
    def nodes(self) -> list[str]:
        return sorted(node for version in self.versions for node in version.nodes)


class Kinds(NamedTuple):
    """At one moment, `now_ms`. `nodes`: those that hold a lease, with what they said; `runs`: the kinds that they
    announced, each with the digest of its definition. A node that announced nothing, as older versions do not, may run
    any kind, and one that did not say which queues it serves may serve any."""

    now_ms: int
    known: Mapping[str, Kind]
    nodes: Mapping[str, About]
    runs: Mapping[str, Mapping[str, str]]

    def serving(self, queue: str, kind: str | None = None, version: str = "") -> Iterator[str]:
        """The nodes that take jobs from this queue, and run this kind, if one is given; of jobs that stay with a
        version of the application those that may."""
        for node, about in self.nodes.items():
            if (queue in about.queues or not about.queues) and (kind is None or self.may_run(node, kind, version)):
                yield node

    def servers(self) -> Callable[[str], int]:
        """How many nodes take jobs from a queue, for many queues."""
        counts = Counter(queue for about in self.nodes.values() for queue in about.queues)
        everywhere = sum(not about.queues for about in self.nodes.values())
        return lambda queue: counts[queue] + everywhere

    @property
    def unserved(self) -> list[str]:
        """The kinds that no node runs, sorted."""
        return sorted(name for name in self.known if not self.is_run(name))

    def without_node(self, lines: Iterable[VersionLine]) -> list[VersionLine]:
        """Those of these jobs that no node may go on with."""
        return [line for line in lines if not any(self.serving(line.queue, line.kind, line.version))]

    def may_run(self, node: str, kind: str, version: str = "") -> bool:
        if version and self.nodes[node].same.get(kind) not in (None, in_line(version)):
            return False
        return node not in self.runs or kind in self.runs[node]

    def is_run(self, kind: str) -> bool:
        return any(self.may_run(node, kind) for node in self.nodes)

    def within(self, queues: Iterable[str]) -> Kinds:
        """Of nodes that serve these queues, and of kinds whose jobs go there, or that these run with no queue fixed."""
        seen = {node for queue in queues for node in self.serving(queue)}
        known = {}
        for name, kind in self.known.items():
            versions = [each._replace(nodes=[node for node in each.nodes if node in seen]) for each in kind.versions]
            roams = "queue" not in kind.definition.defaults and any(each.nodes for each in versions)
            if kind.queue in queues or roams:
                known[name] = kind._replace(versions=versions)
        nodes = {name: about for name, about in self.nodes.items() if name in seen}
        return self._replace(known=known, nodes=nodes)


NO_KINDS: Final = Kinds(0, {}, {}, {})


def as_announced(known: Kind | None, kind: str, payload: bytes, options: JobOptions) -> CheckedOptions:
    """What a door makes of a submission's options, where nodes announced its kind (`known`) or did not. Raises
    InvalidJob, also for a payload that none of them takes."""
    if known is not None and known.schemas:
        check_payload(kind, known.schemas, payload)
    return options.checked(None if known is None else known.defaults)
