"""The keyring: backends behind one small protocol, and the keys of a virtual proxy kept in them."""
