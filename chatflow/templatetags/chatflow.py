"""Addresses of the project's own, for the pages' templates."""

from django import template
from django.conf import settings
from django.shortcuts import resolve_url
from django.urls import get_script_prefix

register = template.Library()


@register.simple_tag
def site_root() -> str:
    """Return the path that all of this site's begin with."""
    return get_script_prefix()


@register.simple_tag
def login_url() -> str:
    """Return the path or the address of the page where people sign in."""
    return resolve_url(settings.LOGIN_URL)
