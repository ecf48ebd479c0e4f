"""TOML to values: the only reader of the configuration file."""

from rotator.config.channels import telling
from rotator.config.load import load, load_keyring, load_text
from rotator.config.location import destination, example, find
from rotator.config.reading import contents, place
from rotator.config.values import duration_of


__all__ = [
    "contents",
    "destination",
    "duration_of",
    "example",
    "find",
    "load",
    "load_keyring",
    "load_text",
    "place",
    "telling",
]
