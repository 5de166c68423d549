"""Workflows: load for them, and what is judged of it."""
