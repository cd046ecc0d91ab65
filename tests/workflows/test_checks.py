"""What the system checks say of the registered workflows, all together."""

import pytest
from django.core.checks import WARNING

from chatflow.workflows import Context, registry, workflow
from chatflow.workflows.checks import check_triggers
from chatflow.workflows.registry import all_workflows, get_workflow
from chatflow.workflows.running.routing import route


def greet(ctx: Context) -> str:
    return "hello"


def test_it_works() -> None:
    """What comes with Chatflow is as it should be."""
    assert {"chat", "create_invoice"} <= set(registry._workflows)
    assert check_triggers(None) == []


@pytest.mark.parametrize("earlier", ["wage", "Wage me", "me"])
def test_a_trigger_that_another_one_always_wins_over(earlier: str) -> None:
    workflow("a_first", triggers=[earlier])(greet)
    workflow("b_second", triggers=["wage me", "charge"])(greet)

    (warning,) = check_triggers(None)

    place = get_workflow("a_first").place
    assert (warning.id, warning.level) == ("workflows.W002", WARNING)
    assert warning.msg == (
        f"The trigger 'wage me' never starts the workflow 'b_second' ({place}): the trigger "
        f"{earlier.lower()!r} of 'a_first' ({place}) comes first, as the workflows do by their "
        "names."
    )
    assert warning.hint == (
        "Take other words for one of them, or let their names be in the other order."
    )
    # So it is.
    assert route("Please wage me now", {}, all_workflows()) == "a_first"


def test_triggers_that_are_reached() -> None:
    workflow("a_first", triggers=["wage me", "age", "hello", "hello there"])(greet)
    workflow("b_second", triggers=["wage", "a wage for you"])(greet)

    assert check_triggers(None) == []
