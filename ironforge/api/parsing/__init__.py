"""From request bytes to checked values."""
