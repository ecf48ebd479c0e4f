"""The decisions: pure functions over values, the clock passed in."""
