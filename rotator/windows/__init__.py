"""What Windows does in its own way: access lists and DPAPI. Imports everywhere, works there alone."""
