"""What a hostile message may cost."""

from contextlib import suppress

import pytest

from examples.invoicing.edits import parse_edits
from examples.invoicing.limits import Refused
from examples.invoicing.parsing import read_customer, read_request

FLOODS = ["\n" * 3900 + "z", "," * 4000, "and," * 1000, ".," * 2000, "- a\n" * 900]


@pytest.mark.parametrize("flood", FLOODS, ids=[flood[:4].strip() or "lines" for flood in FLOODS])
def test_a_flood_of_separators_is_read(flood: str) -> None:
    # Without a bound the patterns try for hours, and hold Python's lock meanwhile: then the suite's
    # own limit of time ends this test.
    for read in (read_request, read_customer, parse_edits):
        with suppress(Refused):
            read(f"create invoice for acme with {flood}"[:4000])
