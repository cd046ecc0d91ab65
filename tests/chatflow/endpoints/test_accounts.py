"""The pages of an account, and the admin's page of tokens."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client

from chatflow.access import sign_in_links
from chatflow.access.sign_in_links import make_link
from chatflow.access.tokens import make_token
from chatflow.models import Token
from tests.conftest import make_user

pytestmark = pytest.mark.django_db

PAGE = "/accounts/tokens/"
ADD = "/admin/chatflow/token/add/"
JOBS = "/ai-demo/workflow/jobs"
FORM = {"name": "robot", "scope": "read", "workflow": "", "days": "7"}


@pytest.fixture
def signed_in(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def secret_in(page: Any) -> str:
    found = re.search(r"\b[0-9a-f]{64}\b", page.content.decode())
    return found[0] if found else ""


def works(secret: str) -> bool:
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    return bool(client.get(JOBS).status_code == 200)


# Tokens.


def test_tokens(signed_in: Client, alice: User, bob: User) -> None:
    page = signed_in.post(PAGE, FORM)
    secret = secret_in(page)
    assert works(secret)
    assert "no-store" in page["Cache-Control"]
    # Shown once.
    again = signed_in.get(PAGE)
    assert secret not in again.content.decode()
    assert "robot" in again.content.decode()
    his, _ = make_token(bob, name="his")
    assert "his" not in re.findall(r'scope="row">(\w+)', again.content.decode())
    signed_in.post(PAGE, {"revoke": his.public_id})
    assert Token.objects.filter(user=bob).exists()
    mine = Token.objects.get(user=alice)
    assert signed_in.post(PAGE, {"revoke": mine.public_id}).status_code == 302
    assert not works(secret)


def test_a_name_is_escaped(signed_in: Client) -> None:
    page = signed_in.post(PAGE, {**FORM, "name": "<script>x</script>"})
    assert "<script>x" not in page.content.decode()


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"days": "0"}, {"workflow": "nothing"}, {"scope": "god"}]
)
def test_a_wrong_form(signed_in: Client, wrong: dict[str, str]) -> None:
    page = signed_in.post(PAGE, FORM | wrong)
    assert 'role="alert"' in page.content.decode()
    assert not Token.objects.exists()


def test_whoever_is_not_signed_in(anonymous: Client, alice: User) -> None:
    assert anonymous.get(PAGE).status_code == 302
    headers = {"Authorization": f"Bearer {make_token(alice)[1]}"}
    assert Client(headers=headers).post(PAGE, FORM).status_code == 302
    assert Client(enforce_csrf_checks=True).post(PAGE, FORM).status_code == 403


# The link that signs in.

# Where one that signs nobody in leads.
DEAD = "/accounts/login/?link=dead"


def test_a_link_signs_in_once(alice: User) -> None:
    link, client = make_link(alice), Client()
    answer = client.get(link)
    assert (answer.status_code, answer["Location"]) == (302, "/ai-demo/chat/")
    assert "no-store" in answer["Cache-Control"]
    assert client.get("/ai-demo/chat/").status_code == 200
    other = Client()
    answer = other.get(link, follow=True)
    assert answer.redirect_chain == [(DEAD, 302)]
    assert "This link was used already" in answer.content.decode()
    assert other.get("/ai-demo/chat/").status_code == 302


@pytest.mark.parametrize("loaded_as", ["image", "iframe", "script", "empty"])
def test_a_link_is_for_whoever_opens_it(alice: User, loaded_as: str) -> None:
    """Not for a picture in an answer: it would sign its reader in as somebody else."""
    link, client = make_link(alice), Client()
    assert client.get(link, headers={"Sec-Fetch-Dest": loaded_as}).status_code == 403
    assert client.get("/ai-demo/chat/").status_code == 302
    opened = client.get(link, headers={"Sec-Fetch-Dest": "document"})
    assert opened["Location"] == "/ai-demo/chat/"


def test_how_a_link_dies(
    alice: User, charlie: User, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    def is_dead(link: str) -> bool:
        return bool(Client().get(link)["Location"] == DEAD)

    assert is_dead("/accounts/once/")
    assert is_dead("/accounts/once/?token=a:b:c")
    assert is_dead(make_link(charlie))
    link = make_link(alice)
    assert is_dead(link[:-1] + ("A" if link[-1] != "A" else "B"))
    settings.SECRET_KEY = "another"
    assert is_dead(link)
    link = make_link(alice)
    alice.set_password("another one")
    alice.save()
    assert is_dead(link)
    link = make_link(alice)
    monkeypatch.setattr(sign_in_links, "LIFETIME", -1.0)
    assert is_dead(link)


def test_the_command(alice: User, capsys: Any) -> None:
    call_command("sign_in_link", "alice")
    assert Client().get(capsys.readouterr().out.strip())["Location"] == "/ai-demo/chat/"
    with pytest.raises(CommandError, match="nobody"):
        call_command("sign_in_link", "nobody")


def test_the_command_below_a_path(alice: User, capsys: Any, settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/chat"
    call_command("sign_in_link", "alice")
    assert capsys.readouterr().out.startswith("/chat/accounts/once/?token=")


# The admin.


def clerk(*permissions: str) -> Client:
    user = make_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_staff_make_tokens_for_themselves_only(alice: User) -> None:
    client = clerk("add_token", "view_token")
    assert 'name="user"' not in client.get(ADD).content.decode()
    page = client.post(ADD, FORM | {"user": alice.pk}, follow=True)
    made = Token.objects.get()
    assert (made.user.username, made.name, made.scope) == ("clerk", "robot", "read")
    assert works(secret_in(page))
    # Nor by changing one.
    url = f"/admin/chatflow/token/{made.pk}/change/"
    client.post(url, {"user": alice.pk})
    made.refresh_from_db()
    assert made.user.username == "clerk"


def test_superusers_make_those_of_others(admin_client: Client, alice: User) -> None:
    page = admin_client.post(ADD, FORM | {"user": alice.pk}, follow=True)
    assert Token.objects.get().user == alice
    assert works(secret_in(page))
    made = Token.objects.get()
    admin_client.post(f"/admin/chatflow/token/{made.pk}/delete/", {"post": "yes"})
    assert not Token.objects.exists()


def test_staff_make_none_that_lives_too_long(admin_client: Client, alice: User) -> None:
    page = admin_client.post(ADD, FORM | {"user": alice.pk, "days": 99999999})
    assert "less than or equal to 365" in page.content.decode()
    assert not Token.objects.exists()


def test_staff_without_the_permission(alice: User) -> None:
    assert clerk("view_token").get(ADD).status_code == 403
