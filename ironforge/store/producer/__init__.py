"""Submitting, cancelling and retrying jobs."""
