"""A person's page: how much is kept of them, to be taken along or deleted."""

import tempfile
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import ProtectedError, RestrictedError
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.html import format_html

from chatflow.operations import audit
from chatflow.operations.admin.tables import COUNTED
from chatflow.operations.persons import PARTS, delete_person, export_person, told
from chatflow.operations.roles import may_manage_persons, may_read_texts
from chatflow.workflows.users import find_user

# Bytes of an export that are held in memory; what is more goes to a file.
IN_MEMORY = 10 * 2**20
# Jobs, and conversations, that are looked through for what belongs to them.
LOOKED_AT = 2_000


class WhyForm(forms.Form):
    why = forms.CharField(
        label="Why", max_length=500, help_text="For the log of acts; no words of theirs."
    )
    name = forms.CharField(
        label="Their name", required=False, help_text="To delete them: type it once more."
    )


def find(request: HttpRequest) -> HttpResponseBase:
    """Find a person by the name that they sign in with."""
    _check(request)
    name = request.GET.get("name", "").strip()
    user = find_user(name) if name and "\0" not in name else None
    if user is not None:
        return redirect("admin:chatflow_operations_person", user.pk)
    return _page(request, "persons", title="Persons", name=name)


def person(request: HttpRequest, key: str) -> HttpResponseBase:
    """Show how much is kept of a person; export it, or delete them.

    Raises:
        Http404: there is no such account.
        PermissionDenied: only a superuser has a superuser's data, and nobody deletes themselves.
    """
    _check(request)
    user = _get(key)
    if getattr(user, "is_superuser", False) and not _is_superuser(request):
        raise PermissionDenied
    form = WhyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        answer = _act(request, user, form)
        if answer is not None:
            return answer
    return _page(
        request,
        "person",
        title=f"All that is kept of {user.get_username()}",
        person=user,
        counts=[(name.replace("_", " "), count) for name, count in _count_all(user)],
        form=form,
        may_export=may_read_texts(request.user),
        acts=audit.acts_on(user)[:20],
    )


def _act(request: HttpRequest, user: Any, form: WhyForm) -> HttpResponseBase | None:
    why = form.cleaned_data["why"]
    if "export" in request.POST:
        # It tells all words.
        if not may_read_texts(request.user):
            raise PermissionDenied
        return _export(request, user, why)
    if form.cleaned_data["name"] != user.get_username():
        form.add_error("name", "This is not their name.")
        return None
    if user.pk == request.user.pk:
        raise PermissionDenied
    return _delete(request, user, why)


def _export(request: HttpRequest, user: Any, why: str) -> HttpResponseBase:
    audit.record(request, user, "Export a person", why)
    # The response closes it.
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
    export_person(user, file)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=f"person-{user.pk}.zip")


def _delete(request: HttpRequest, user: Any, why: str) -> HttpResponseBase:
    # Not by record(): Django's own history would keep the name.
    audit.record_form(request, user, "Delete a person", why, outcome="Begun.")
    try:
        outcome = told(delete_person(user))
    except (ProtectedError, RestrictedError):
        text = "What Chatflow kept is deleted; rows of the project's own keep the account."
        messages.error(request, text)
        return redirect("admin:chatflow_operations_person", user.pk)
    audit.record_form(request, user, "Delete a person", why, outcome=f"Done: {outcome}")
    messages.success(request, format_html("Deleted. {}", outcome))
    return redirect("admin:chatflow_operations_persons")


def _count_all(user: Any) -> Iterator[tuple[str, str]]:
    """Yield how many rows of each kind there are, as far as a page should count."""
    # What belongs to jobs and conversations is looked for in each of them.
    many = any(PARTS[name].count(user, LOOKED_AT) > LOOKED_AT for name in ("jobs", "sessions"))
    for name, part in PARTS.items():
        if many and not part.is_own:
            yield name, "not counted"
            continue
        count = part.count(user, COUNTED)
        yield name, f"more than {COUNTED:,}" if count > COUNTED else f"{count:,}"


def _get(key: str) -> Any:
    users = get_user_model()._base_manager
    try:
        return users.get(pk=key)
    except (get_user_model().DoesNotExist, ValidationError, ValueError, OverflowError):
        raise Http404 from None


def _check(request: HttpRequest) -> None:
    if not may_manage_persons(request.user):
        raise PermissionDenied


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _page(request: HttpRequest, template: str, **context: Any) -> HttpResponseBase:
    context |= admin.site.each_context(request)
    return render(request, f"chatflow/operations/{template}.html", context)
