"""The servers of the store's tests."""

from tests.store.conftest import cluster, server

__all__ = ["cluster", "server"]
