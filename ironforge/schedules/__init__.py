"""Schedules: what they say, when they fire, and both in words. Without I/O."""
