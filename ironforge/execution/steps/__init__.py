"""The steps of one run: what it records, what it finds recorded, and what it parks its job for."""
