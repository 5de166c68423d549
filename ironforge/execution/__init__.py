"""Running one attempt: from a record to its outcome, in a task, a thread or a process."""
