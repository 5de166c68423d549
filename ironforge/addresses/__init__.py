"""Addresses as settings and callers write them: of the store, and of HTTP APIs."""
