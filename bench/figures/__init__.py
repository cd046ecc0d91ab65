"""One module for each figure; each has a ``measure(bench)`` that returns lines of the table."""
