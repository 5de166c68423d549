"""How modules lean on each other, read from every import, also those that are for types only."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

KERNEL = "ironforge.actors.kernel"


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("ironforge", cache_dir=None)


def test_there_is_no_circle_of_imports(graph: grimp.ImportGraph) -> None:
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_kernel_imports_nothing_of_ironforge_but_itself(graph: grimp.ImportGraph) -> None:
    upstream = graph.find_upstream_modules(KERNEL, as_package=True)
    assert {module for module in upstream if not module.startswith(KERNEL)} == set()
