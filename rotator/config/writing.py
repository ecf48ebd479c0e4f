"""Values as the configuration file writes them."""

import json


def quoted(text: str) -> str:
    r"""A string of TOML: in single quotes where it has backslashes, so that 'CORP\alice' reads as people write it."""
    if "\\" in text and "'" not in text:
        return f"'{text}'"
    # TOML escapes quotes and backslashes as JSON does.
    return json.dumps(text, ensure_ascii=False)
