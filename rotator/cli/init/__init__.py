"""rotator init: the command, and its questions by subject."""
