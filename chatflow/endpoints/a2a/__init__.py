"""A2A 1.0: other agents find this one by its card, and give it tasks."""

from django.urls import path

from chatflow.endpoints.a2a.calls import a2a
from chatflow.endpoints.a2a.card import card

urlpatterns = [
    path(".well-known/agent-card.json", card, name="a2a-card"),
    path("a2a", a2a, name="a2a"),
]
