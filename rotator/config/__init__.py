"""TOML to values: the only reader of the configuration file."""

from rotator.config.load import load, load_keyring
from rotator.config.location import find
from rotator.config.reading import place
from rotator.config.values import seconds as duration


__all__ = ["duration", "find", "load", "load_keyring", "place"]
