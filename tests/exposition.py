"""The samples of a metrics file."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families


LABELS = ("site", "name", "result", "reason", "version")


def samples(path: Path) -> dict[tuple[str, ...], float]:
    """Every sample by its name and its labels' values, in the order of LABELS."""
    return {
        (sample.name, *(sample.labels[label] for label in LABELS if label in sample.labels)): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }
