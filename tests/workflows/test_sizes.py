import pytest

from chatflow.workflows.sizes import size_text


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1 kB"),
        (1536, "1.5 kB"),
        (1_023_999, "1 MB"),
        (1_048_576, "1 MB"),
        (10_485_760, "10 MB"),
        (52_428_800, "50 MB"),
        (1_073_741_824, "1 GB"),
        (10**16, "9095 TB"),
    ],
)
def test_it_works(size: int, said: str) -> None:
    assert size_text(size) == said
