"""Workflows in the store: submitting them, moving them on as their nodes end, looking at them."""
