"""What the edge looks up with every request. See store/lookups.py."""

from chatflow.workflows.store.lookups import find_with

__all__ = ["find_with"]
