"""Limits: load for them, what is looked at meanwhile, and what is judged of it."""
