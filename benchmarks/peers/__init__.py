"""The same no-op work on other job queues, each in an environment of its own, by its own advice."""
