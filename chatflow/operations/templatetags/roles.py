"""For templates: ``{% load roles %}`` … ``{{ job.text|shown_to:request.user }}``."""

from typing import Any

from django import template

from chatflow.operations import roles

register = template.Library()


@register.filter
def shown_to(text: Any, user: Any) -> Any:
    """Return words of users or models as *user* may see them: see roles.shown()."""
    return roles.shown(user, text)


@register.filter
def may_read_texts(user: Any) -> bool:
    """Say whether *user* may read what users and models wrote."""
    return roles.may_read_texts(user)


@register.filter
def may_manage_persons(user: Any) -> bool:
    """Say whether *user* may export and delete all data of a person."""
    return roles.may_manage_persons(user)
