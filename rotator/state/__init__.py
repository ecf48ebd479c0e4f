"""The state directory: whose it is, its locks, the journal, the notices that wait, what the metrics are made of."""
