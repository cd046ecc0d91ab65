"""What nobody would send, for calls that are made by chance."""

from typing import Any

from hypothesis import strategies as st


def any_json(names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Return JSON of any shape.

    Args:
        names: those of its objects' fields, so that some of them count.
    """
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("echo"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=12,
    )
