"""What MAY_USE keeps from a user is neither offered nor begun, by whatever way."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import Context, workflow
from chatflow.workflows.exceptions import UnknownWorkflow
from chatflow.workflows.models import Job, Session
from chatflow.workflows.permissions import usable_workflow, usable_workflows, workflows_for
from tests.configure import configure
from tests.openai_server import OpenAIServer
from tests.workflows.chat import Chat

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def only_bob(user: User, name: str, tenant: str) -> bool:
    # It asks the database, as a project's would.
    return name != "greet" or User.objects.filter(pk=user.pk, username="bob").exists()


@pytest.fixture(autouse=True)
def _greet(settings: Any) -> None:
    configure(settings, MAY_USE=f"{__name__}.only_bob")

    @workflow("greet", title="Greeting", triggers=["greet me"])
    def greet(ctx: Context) -> str:
        return f"Hello {ctx.ask('Your name?')}"


def test_it_works(alice: User, bob: User) -> None:
    names = {user: [each.name for each in usable_workflows(user, "")] for user in (alice, bob)}

    assert set(names[bob]) - set(names[alice]) == {"greet"}
    assert usable_workflow("greet", bob, "").name == "greet"
    for name in ("greet", "nope"):
        with pytest.raises(UnknownWorkflow, match=f"There is no workflow called '{name}'."):
            usable_workflow(name, alice, "")


def test_the_organisation_is_told(alice: User, settings: Any) -> None:
    configure(settings, MAY_USE=f"{__name__}.only_in_a")

    assert {tenant: len(workflows_for(Job(user=alice, tenant=tenant))) for tenant in "ab"} == {
        "a": 1,
        "b": 0,
    }


def only_in_a(user: User, name: str, tenant: str) -> bool:
    return name == "greet" and tenant == "a"


asked: list[str] = []


def note(user: User, name: str, tenant: str) -> bool:
    asked.append(name)
    return True


def test_the_workflow_that_words_lead_to_is_asked_for_once(chat: Chat, settings: Any) -> None:
    configure(settings, MAY_USE=f"{__name__}.note")
    asked.clear()

    assert chat.send("greet me").workflow == "greet"
    # As often as all others among which it was chosen.
    assert asked.count("greet") == asked.count("chat") > 0


def test_neither_words_nor_help_lead_there(chat: Chat, bob: User) -> None:
    assert chat.send("greet me").workflow == "chat"
    assert "Greeting" not in chat.say("help").response
    assert "Greeting" not in chat.say("Who are you?").response
    assert "Greeting" in Chat(bob).say("help").response


@pytest.mark.parametrize("routing", ["tools", "request"])
def test_a_model_is_not_offered_it(
    chat: Chat, bob: User, server: OpenAIServer, settings: Any, routing: str
) -> None:
    configure(settings, AI_ROUTING=routing)

    chat.say("Welcome!")
    Chat(bob).say("Welcome!")

    def is_told(requests: Any) -> bool:
        return "Greeting" in str(requests)

    asked = [is_told(each) for each in server.requests]
    assert asked[0] is False
    assert True in asked


def test_it_is_not_begun_by_name(chat: Chat) -> None:
    for how in ({"workflow": "greet"}, {"begins": "greet"}):
        with pytest.raises(UnknownWorkflow):
            chat.send(**how)
    assert not Session.objects.exists()


def test_its_words_are_an_answer_to_another_question(chat: Chat) -> None:
    @workflow("ask")
    def ask(ctx: Context) -> str:
        return f"Said: {ctx.ask('What?')}"

    chat.say("x", workflow="ask")

    assert chat.say("greet me").response == "Said: greet me"


def test_a_question_of_its_own_is_answered(bob: User) -> None:
    chat = Chat(bob)
    chat.say("greet me")
    User.objects.filter(pk=bob.pk).update(username="rob")

    assert chat.say("Ada").response == "Hello Ada"
    assert chat.send("greet me").workflow == "chat"


def test_without_a_hook_the_owner_is_not_read(
    chat: Chat, settings: Any, django_assert_num_queries: Any
) -> None:
    configure(settings, MAY_USE="")
    job = Job.objects.get(pk=chat.send().pk)

    with django_assert_num_queries(0):
        assert workflows_for(job)
