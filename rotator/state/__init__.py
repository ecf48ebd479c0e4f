"""The state directory: locks, and whose state it is."""
