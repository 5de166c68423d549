"""The types of the HTTP contract: what a request may hold, what an answer holds."""
