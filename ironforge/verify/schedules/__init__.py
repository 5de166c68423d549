"""Schedules in a run: load, what the store says of them all the time, and the verdict on their ticks."""
