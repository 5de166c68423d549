"""What applications write: handlers by kind, middleware around them, submission from Python."""
