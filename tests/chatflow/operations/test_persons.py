"""All that is kept of a person is taken along, and goes."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.test import Client

from chatflow.models import Tally
from chatflow.operations.models import Act
from chatflow.operations.persons import PARTS, delete_person, export_person
from chatflow.workflows.models import Job, State, TaskRun
from chatflow.workflows.texts import TEXTS
from tests.chatflow.operations.test_texts import OURS
from tests.chatflow.operations.walk import CANARY, fill

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]

ACCOUNT = "/admin/chatflow_operations/act/persons/"


def leads_to(model: type[Model], seen: tuple[type[Model], ...] = ()) -> bool:
    """Say whether a row of the model is somebody's: it points to them, or to what is theirs."""
    return any(
        issubclass(field.related_model, User)
        or (
            field.related_model not in (*seen, model)
            and leads_to(field.related_model, (*seen, model))
        )
        for field in model._meta.concrete_fields
        if field.is_relation and isinstance(field.related_model, type)
    )


def ours() -> list[type[Model]]:
    return [model for label in OURS for model in apps.get_app_config(label).get_models()]


def everything() -> str:
    """Return all rows of Chatflow's, as text."""
    models = [each for each in ours() if each is not TaskRun]
    models += [apps.get_model("admin", "LogEntry"), User]
    return "\n".join(str(list(model._base_manager.values())) for model in models)


def test_every_kind_is_decided() -> None:
    """A new model that leads to a user goes into PARTS."""
    assert {model for model in ours() if leads_to(model)} == {part.model for part in PARTS.values()}


def test_it_is_all_taken_along(alice: User, bob: User) -> None:
    rows = fill(alice)
    Tally.objects.create(key=f"send:{alice.pk}", count=3, ends_at=1)
    fill(bob, "the other's")
    file = io.BytesIO()
    counts = export_person(alice, file)

    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        read = {
            name: [json.loads(line) for line in archive.read(f"{name}.jsonl").splitlines()]
            for name in counts
        }
        account = json.loads(archive.read("account.json"))
        document = next(row for row in rows if row._meta.model_name == "document")
        assert archive.read(f"files/{document.pk}.text") == CANARY.encode()
    assert {name: len(found) for name, found in read.items()} == counts
    assert len([name for name in names if name.startswith("files/")]) == 1
    assert account["username"] == "alice"
    assert "password" not in account
    assert "the other's" not in str(read)
    assert "digest" not in read["tokens"][0]
    for name, part in PARTS.items():
        told = {*TEXTS.get(part.model._meta.label_lower, ())} - {*part.left_out}
        for column in told:
            assert CANARY in str(read[name][0][column]), (name, column)
    assert counts["tallies"] == 1


def test_it_is_all_deleted(alice: User, bob: User) -> None:
    fill(alice)
    fill(alice, "busy", State.QUEUED)
    Tally.objects.create(key=f"send:{alice.pk}", count=3, ends_at=1)
    fill(bob, "the other's")
    before = {name: part.of(bob).count() for name, part in PARTS.items()}
    key = alice.pk
    counts = delete_person(alice)

    assert counts["jobs"] == 2
    assert not User.objects.filter(pk=key).exists()
    assert {name: part.of(bob).count() for name, part in PARTS.items()} == before
    for name, part in PARTS.items():
        assert part.model._base_manager.count() == before[name], name
    delete_person(bob)
    left = everything()
    assert CANARY not in left
    assert "alice" not in left
    assert not Tally.objects.exists()


def test_the_commands(alice: User, tmp_path: Path) -> None:
    fill(alice)
    path = tmp_path / "alice.zip"
    call_command("export_person", "alice", "--to", str(path), stdout=io.StringIO())
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="exists"):
        call_command("export_person", "alice", "--to", str(path), stdout=io.StringIO())
    call_command("delete_person", "alice", "--noinput", "--why=asked", stdout=io.StringIO())

    acts = Act.objects.order_by("pk")
    assert [act.act for act in acts] == ["Export a person", *["Delete a person"] * 2]
    assert acts[2].outcome == "Done: conversations: 1, jobs: 1, documents: 1."
    assert {act.target_id for act in acts} == {str(alice.pk)}
    assert "alice" not in everything()


def test_the_page(alice: User, staff: Callable[..., Client]) -> None:
    fill(alice)
    address = f"{ACCOUNT}{alice.pk}/"
    manager = staff("manage_persons")
    assert staff("view_act", "read_texts").get(address).status_code == 403
    assert manager.get(ACCOUNT, {"name": "alice"}).headers["Location"] == address
    assert b"Nobody signs in" in manager.get(ACCOUNT, {"name": "nobody"}).content
    assert manager.get(f"{ACCOUNT}nobody/").status_code == 404
    assert CANARY not in manager.get(address).content.decode()

    def post(client: Client, **fields: Any) -> Any:
        return client.post(address, {"why": "asked", **fields})

    assert post(manager, export="1").status_code == 403
    assert post(manager, delete="1", name="bob").status_code == 200
    assert Job.objects.exists()
    answer = post(staff("manage_persons", "read_texts"), export="1")
    assert zipfile.is_zipfile(io.BytesIO(b"".join(answer.streaming_content)))
    assert post(manager, delete="1", name="alice").status_code == 302
    assert not Job.objects.exists()
    last = Act.objects.latest("pk")
    assert (last.act, last.why) == ("Delete a person", "asked")
    assert "alice" not in everything()


def test_nobody_reaches_above(boss: Client, staff: Callable[..., Client]) -> None:
    """Who may manage persons may not thereby delete a superuser; nor anybody themselves."""
    chief = User.objects.get(username="boss")
    assert staff("manage_persons").get(f"{ACCOUNT}{chief.pk}/").status_code == 403
    answer = boss.post(f"{ACCOUNT}{chief.pk}/", {"why": "so", "name": "boss", "delete": "1"})
    assert answer.status_code == 403
    account = boss.get(f"/admin/auth/user/{chief.pk}/change/").content.decode()
    assert f'href="{ACCOUNT}{chief.pk}/"' in account
