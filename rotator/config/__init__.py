"""TOML to values: the only reader of the configuration file."""

from rotator.config.load import load
from rotator.config.location import find
from rotator.config.reading import contents
from rotator.config.values import seconds as duration


__all__ = ["contents", "duration", "find", "load"]
