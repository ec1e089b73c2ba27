"""The queue: one row per source, and every change of its state."""
