"""Rows as the models that they are, on each database as Django itself would read them."""

import pytest
from django.contrib.auth.models import User
from django.db import connection

from chatflow.workflows.models import Job, Session
from chatflow.workflows.store.rows import columns, from_row
from tests.workflows.chat import Chat

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def test_it_works(chat: Chat, alice: User) -> None:
    job = chat.send(options={"é": [1, None, True]})
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns(Job, 'job')}, {columns(User, 'owner')}, 7 FROM workflows_job job"
            " JOIN auth_user owner ON owner.id = job.user_id"
        )
        row = iter(cursor.fetchone())
    found, owner = from_row(Job, row), from_row(User, row)

    assert next(row) == 7
    assert (found, owner) == (job, alice)
    same = Job.objects.get()
    for field in Job._meta.concrete_fields:
        assert getattr(found, field.attname) == getattr(same, field.attname), field.attname
    assert owner.date_joined == alice.date_joined
    # To save it is to change the row.
    found.session = Session.objects.create(user=alice, key="other")
    found.save()
    assert Job.objects.get().session.key == "other"
