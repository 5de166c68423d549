"""Keys that hold something of another type, under whatever is done to jobs and limits."""
