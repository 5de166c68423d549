"""The API that the client's tests talk to."""

from tests.api.conftest import api, api_in_thread, node, redis_url, settings, start_api

__all__ = ["api", "api_in_thread", "node", "redis_url", "settings", "start_api"]
