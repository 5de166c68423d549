"""Steps inside a job: what is recorded of them, and what a job waits for. Pure."""
