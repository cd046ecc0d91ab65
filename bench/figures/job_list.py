"""The operator's list of a million jobs: each filter, searches, what a bulk act shows first."""

from bench.figures.operator_pages import time_pages
from bench.stage import Stage
from bench.table import Line


def measure(stage: Stage) -> list[Line]:
    return time_pages(stage, "job_list", f"list of {stage.jobs:,} jobs")
