"""Steps in the store: recording them, waiting and waking, events."""
