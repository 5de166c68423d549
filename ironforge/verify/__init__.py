"""Proof on your own server: `ironforge verify` submits jobs, hurts nodes that it started, and judges the result.

The account of what happened is kept outside the server under test: a ledger in files, one line a write, so that even
a killed process has told what it did.
"""
