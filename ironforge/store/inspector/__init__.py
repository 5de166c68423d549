"""Looking: jobs, lists, counts and nodes."""
