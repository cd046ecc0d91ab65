"""The table of series in docs/observe.md has each of them, with its labels."""

from pathlib import Path

import pytest

from chatflow.workflows.metrics.series import ALL, Series

PAGE = Path(__file__).parents[3] / "docs" / "observe.md"


@pytest.mark.parametrize("series", ALL, ids=lambda each: each.name)
def test_it_is_in_the_table(series: Series) -> None:
    labels = f"{{{','.join(series.labels)}}}" if series.labels else ""
    assert f"`{series.name}{series.ending}{labels}`" in PAGE.read_text()
