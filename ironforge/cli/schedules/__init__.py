"""`ironforge schedules …`."""
