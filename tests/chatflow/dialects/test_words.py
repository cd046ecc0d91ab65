"""Words that an encoder puts together."""

from chatflow.dialects.words import Words


def test_it_works() -> None:
    words = Words()
    assert (words.text, len(words)) == ("", 0)
    for each in ("One", " two"):
        words.add(each)
    assert (words.text, len(words)) == ("One two", 7)
    words.add(" three")
    assert (words.text, len(words)) == ("One two three", 13)
