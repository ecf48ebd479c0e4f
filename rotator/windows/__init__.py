"""What Windows does in its own way: access lists, DPAPI, scheduled tasks. Imports everywhere, works there alone."""
