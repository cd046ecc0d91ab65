"""The verb of the kit: run a workflow, and answer what it asks."""

import uuid
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import EmailField

from chatflow.workflows.db import atomic
from chatflow.workflows.exceptions import UnknownWorkflow
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.readers import kind_of, kind_of_image
from chatflow.workflows.registry import all_workflows
from chatflow.workflows.testing.conversations import Conversation
from chatflow.workflows.testing.script import OFFLINE, Script
from chatflow.workflows.testing.turns import Turn
from chatflow.workflows.users import find_user

# A file beside the tests, or the name and the bytes of one.
FileLike = str | Path | tuple[str, bytes]


def run(
    workflow: str | None,
    message: str = "",
    *,
    answers: Iterable[Any] = (),
    model: Iterable[Any] | str = (),
    user: Any = None,
    input: dict[str, Any] | None = None,
    files: Iterable[FileLike] = (),
    crash_after: str | Iterable[str] = (),
    session: str = "",
    tenant: str = "",
) -> Turn:
    """Run a workflow to its end, or to a question that is left open, in the test database.

    Args:
        workflow: its name; None where the message is to choose it, as a user's does.
        message: what the user says.
        answers: what they answer, in this order: texts, True or False, data for forms, and
            Approve() or Reject(); OPEN at the end leaves the question open.
        model: what the model answers, in this order: texts, results for ``output_type``,
            exceptions, and Use(); or OFFLINE for the offline model.
        user: who it is; by default one that is made, the same in the whole test.
        input: of the action that starts the workflow, instead of a message.
        files: that go with the message: paths, or pairs of a name and bytes.
        crash_after: a step's name, or several: the worker dies when the step is recorded, and
            another one goes on.
        session: the conversation, to go on with an earlier one; by default a new one.
        tenant: the organisation for which the user acts; empty for none.

    Returns:
        What came of it.

    Raises:
        AssertionError: the workflow asked the user or the model for more than there was, or for
            less; or it had no such step to crash after.
        TypeError: *answers* or *model* is a text, where a list of texts is meant.
        UnknownWorkflow: there is none of that name; it says which are nearly called so.
    """
    # pytest shows the test's own line.
    __tracebackhide__ = True
    if isinstance(answers, str) or (isinstance(model, str) and model != OFFLINE):
        raise TypeError("Answers are a list, such as answers=['Ada'] and model=['Hello.'].")
    _check_name(workflow)
    user = user or get_user()
    conversation = Conversation(
        user,
        tenant,
        session or f"test-{uuid.uuid4().hex}",
        Script(model),
        [crash_after] if isinstance(crash_after, str) else crash_after,
    )
    sent = [_send(file, user, tenant) for file in files]
    return conversation.begin(message, answers, workflow=workflow, input=input, sent_files=sent)


def _check_name(workflow: str | None) -> None:
    names = [each.name for each in all_workflows()]
    if workflow is not None and workflow not in names:
        near = get_close_matches(workflow, names, 1)
        meant = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(names)}."
        raise UnknownWorkflow(f"There is no workflow called {workflow!r}. {meant}")


def get_user() -> Any:
    """Return the user of a test that names none.

    Raises:
        AssertionError: the project's users need more than a name.
    """
    users = get_user_model()
    field = users._meta.get_field(users.USERNAME_FIELD)
    name = "alice@example.com" if isinstance(field, EmailField) else "alice"
    user = find_user(name)
    if user is None:
        # Without create_user(): its arguments are the project's own.
        user = users(**{users.USERNAME_FIELD: name})
        user.set_unusable_password()
        try:
            with atomic():
                user.save()
        except (IntegrityError, ValueError, ValidationError) as error:
            raise AssertionError(f"The kit can't make a user; give run() one: {error}") from error
    return user


def _send(file: FileLike, user: Any, tenant: str) -> str:
    """Store a file as a document of the user's, and return its key."""
    name, content = file if isinstance(file, tuple) else (str(file), Path(file).read_bytes())
    kind = kind_of_image(content) or kind_of(name)
    assert kind, f"Nothing here reads a file such as {name!r}."
    document, _ = store(content, kind, owner=user, tenant=tenant, name=name)
    return str(document.pk)
