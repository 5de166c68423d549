"""A server for the tests of a module that need no other one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import valkey


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with valkey(appendonly="yes") as url:
        yield url
