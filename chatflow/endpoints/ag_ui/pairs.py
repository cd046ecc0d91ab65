"""What two lists have in common, in their order."""

from collections.abc import Hashable, Iterator, Sequence


def pair(ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """Yield the places, in both lists, of the longest sequence that they have in common.

    Its order is not that of the lists. A search takes the product of both lengths; so what is at
    the same end of both, as nearly all is, is left out of it.
    """
    both = set(ours).intersection(theirs)
    own = [at for at, key in enumerate(ours) if key in both]
    others = [at for at, key in enumerate(theirs) if key in both]
    while own and others and ours[own[-1]] == theirs[others[-1]]:
        yield own.pop(), others.pop()
    alike = 0
    for at, place in zip(own, others, strict=False):
        if ours[at] != theirs[place]:
            break
        yield at, place
        alike += 1
    own, others = own[alike:], others[alike:]
    for at, place in _search([ours[at] for at in own], [theirs[place] for place in others]):
        yield own[at], others[place]


def _search(ours: list[Hashable], theirs: list[Hashable]) -> Iterator[tuple[int, int]]:
    lengths = [[0] * (len(theirs) + 1)]
    for key in ours:
        above, row = lengths[-1], [0]
        for place, other in enumerate(theirs):
            row.append(above[place] + 1 if key == other else max(above[place + 1], row[place]))
        lengths.append(row)
    at, place = len(ours), len(theirs)
    while at and place:
        if ours[at - 1] == theirs[place - 1]:
            at, place = at - 1, place - 1
            yield at, place
        elif lengths[at - 1][place] >= lengths[at][place - 1]:
            at -= 1
        else:
            place -= 1
