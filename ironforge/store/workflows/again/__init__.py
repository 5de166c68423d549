"""Workflows that have ended and go on: by a retry, or as another one that is forked from them."""
