"""Benchmarks: one file a question, each printing the machine, the versions and the settings next to its figures."""
