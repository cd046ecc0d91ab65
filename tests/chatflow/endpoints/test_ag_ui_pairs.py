"""What two lists have in common."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chatflow.endpoints.ag_ui.pairs import pair

LIST = st.lists(st.sampled_from("abc"), max_size=8)


def common(ours: list[str], theirs: list[str]) -> int:
    """Return the length of the longest common sequence, as its definition has it."""
    if not (ours and theirs):
        return 0
    if ours[0] == theirs[0]:
        return 1 + common(ours[1:], theirs[1:])
    return max(common(ours[1:], theirs), common(ours, theirs[1:]))


def test_it_works() -> None:
    assert sorted(pair("abcd", "xbcy")) == [(1, 1), (2, 2)]
    assert sorted(pair("abab", "ab")) == [(2, 0), (3, 1)]
    assert sorted(pair("", "ab")) == []


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(LIST, LIST)
def test_any_lists(ours: list[str], theirs: list[str]) -> None:
    found = sorted(pair(ours, theirs))
    assert all(ours[at] == theirs[place] for at, place in found)
    places = [place for _, place in found]
    assert places == sorted(set(places))
    assert len(found) == len({at for at, _ in found}) == common(ours, theirs)


class Counted:
    """A key that counts how often it is compared."""

    comparisons = 0

    def __init__(self, name: int) -> None:
        self.name = name

    def __eq__(self, other: Any) -> bool:
        Counted.comparisons += 1
        return isinstance(other, Counted) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def test_lists_that_are_nearly_alike_need_no_search() -> None:
    ours = [Counted(number) for number in range(500)]
    theirs = [Counted(number) for number in range(1000) if number not in (250, 499)]
    assert len(list(pair(ours, theirs))) == 498
    assert Counted.comparisons < 10_000
