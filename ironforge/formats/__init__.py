"""How values look as text, one rule for all doors: durations, timestamps, numbers, JSON."""
