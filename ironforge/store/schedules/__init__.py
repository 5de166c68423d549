"""Schedules: what is stored of them, how they move from tick to tick, and what sees to that."""
