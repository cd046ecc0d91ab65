"""Who may read what users and models wrote."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import Group, User
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import reverse

from chatflow.operations import groups
from chatflow.operations.roles import HIDDEN, shown

pytestmark = pytest.mark.django_db

OURS = ("chatflow", "chatflow_workflows", "chatflow_knowledge", "chatflow_operations")


def who(client: Client) -> User:
    return User.objects.get(pk=client.session["_auth_user_id"])


def test_it_works(staff: Callable[..., Client], boss: Client) -> None:
    looking, reading = who(staff("view_job")), who(staff("view_job", "read_texts"))

    assert shown(looking, "my secret") == HIDDEN
    assert shown(looking, {"to": "Bob"}) == HIDDEN
    assert shown(reading, "my secret") == shown(who(boss), "my secret") == "my secret"


def test_nothing_is_hidden_where_nothing_is(staff: Callable[..., Client]) -> None:
    assert shown(who(staff("view_job")), "") == ""


def test_templates_have_it_too(staff: Callable[..., Client]) -> None:
    template = Template("{% load roles %}{{ text|shown_to:user }}")
    texts = {
        template.render(Context({"text": "<b>secret</b>", "user": who(staff(*held))}))
        for held in (("view_job",), ("read_texts",))
    }

    assert texts == {HIDDEN, "&lt;b&gt;secret&lt;/b&gt;"}


def test_the_group_that_views_sees_every_page(staff: Callable[..., Client]) -> None:
    """A page that is new is for them too."""
    client = staff()
    user = who(client)
    groups.make_groups(apps)
    user.groups.add(Group.objects.get(name="Chatflow: view"))
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(pk=user.pk)
    # The admin finds its pages with its URLs.
    reverse("admin:index")
    ours = [each for model, each in site._registry.items() if model._meta.app_label in OURS]

    assert len(ours) > 8
    assert not [each for each in ours if not each.has_view_permission(request)]
