"""A machine on which rotator runs, is killed at any boundary, and loses its power; and an oracle that looks on."""
