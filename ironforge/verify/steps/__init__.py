"""Steps, sleeps and events: load for them, and what is judged of it."""
