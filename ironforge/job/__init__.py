"""The job: its record and states, its options, its retries, and what is read of its outcome."""
