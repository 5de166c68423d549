"""`ironforge workflows …`."""
