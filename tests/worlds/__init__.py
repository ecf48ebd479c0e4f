"""A whole installation in one process: everything is real but sockets, time and faults."""
