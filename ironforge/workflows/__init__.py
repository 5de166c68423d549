"""Workflows as data: what they say, which node is next, and a picture of both. Without I/O."""
