"""The names of steps in the record."""

import pytest

from chatflow.workflows import Context
from chatflow.workflows.running.step_keys import NAME_LENGTH, full_name, is_choice, path_of, within
from tests.workflows.chat import Chat, Crashes, resume

LONG = "x" * (NAME_LENGTH + 1)


def test_it_works() -> None:
    assert full_name("Read") == "Read"
    with within(path_of(("Read", 2))):
        assert full_name("Look up") == "Read#2 > Look up"
    assert full_name("Read") == "Read"


def test_it_ends_with_an_error() -> None:
    with pytest.raises(ValueError, match="no"), within("Read#1 > "):
        raise ValueError("no")
    assert full_name("Look up") == "Look up"


def test_a_name_fits_into_its_column() -> None:
    assert full_name("x" * NAME_LENGTH) == "x" * NAME_LENGTH
    assert len(full_name(LONG)) == NAME_LENGTH
    assert full_name(f"{LONG}a") != full_name(f"{LONG}b")


def test_a_name_can_be_stored() -> None:
    assert full_name("a\0b") == "a\N{REPLACEMENT CHARACTER}b"


def test_the_choice_of_a_workflow() -> None:
    assert is_choice("Choosing the workflow#1 > Asking the model")
    assert not is_choice("Asking the model")


@pytest.mark.django_db
@pytest.mark.usefixtures("unkept")
def test_long_names(chat: Chat) -> None:
    """Names that differ only behind the column's length are different steps."""
    crashes = Crashes("end")

    def work(ctx: Context) -> str:
        found = [ctx.step("x" * 300 + end, str, end) for end in "ab"]
        crashes.at("end")
        return "".join(found)

    assert resume(chat.begin(work)).response == "ab"


@pytest.mark.django_db
@pytest.mark.usefixtures("unkept")
def test_a_step_inside_of_a_long_name_is_found_again(chat: Chat) -> None:
    """Only its own part is cut: the path in front of it stays whole."""
    crashes, ran = Crashes("end"), []

    def count() -> int:
        ran.append(1)
        return len(ran)

    def work(ctx: Context) -> str:
        outer = ctx.step("o" * 150, lambda: ctx.step("i" * 100, count))
        crashes.at("end")
        return f"{outer} {ctx.step('after', lambda: 2)}"

    assert resume(chat.begin(work)).response == "1 2"


@pytest.mark.django_db
@pytest.mark.usefixtures("unkept")
def test_names_that_are_too_long_together(chat: Chat) -> None:
    """The inner one is still a step of its own; docs/write-a-workflow.md names the limit."""

    def work(ctx: Context) -> str:
        return str(ctx.step("o" * 190, lambda: ctx.step("the inner step", lambda: 1)))

    job = chat.begin(work)
    assert (job.state, job.response) == ("completed", "1")
    assert {len(step.name) for step in job.steps.all()} == {190, NAME_LENGTH}
