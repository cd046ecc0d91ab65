"""``CHATFLOW = {…}``: what stands there counts, and what can't be used is said with a remedy."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured

from chatflow.conf import conf, mistakes, place
from chatflow.project.site_checks import check_settings


def test_what_is_written_counts(settings: LazySettings) -> None:
    settings.CHATFLOW = {"WORKFLOW_TRIES": 5, "RATE_LIMIT_SEND": "7/h"}
    assert (conf.WORKFLOW_TRIES, conf.RATE_LIMIT_SEND) == (5, (7, 3600.0))
    assert conf.AI_MODEL == "offline"
    assert check_settings(None) == []


def test_a_project_need_not_write_anything(settings: LazySettings) -> None:
    del settings.CHATFLOW
    assert conf.RATE_LIMIT_SEND == (60, 60.0)
    assert check_settings(None) == []


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            {"WORKFLOW_TRYES": 5},
            ("There is no setting CHATFLOW['WORKFLOW_TRYES'].", "WORKFLOW_TRIES"),
        ),
        (
            {"NOTHING_LIKE_IT": 5},
            ("There is no setting CHATFLOW['NOTHING_LIKE_IT'].", "There are "),
        ),
        ({"WORKFLOW_TRIES": 0}, ("CHATFLOW['WORKFLOW_TRIES'] must be at least 1, not 0.", "3")),
        ({"WORKFLOW_TRIES": "3"}, ("CHATFLOW['WORKFLOW_TRIES'] must be a number, not '3'.", "3")),
        ({"WORKFLOW_TRIES": True}, ("CHATFLOW['WORKFLOW_TRIES'] must be a number, not True.", "3")),
        ({"WORKFLOW_TRIES": 1.5}, ("CHATFLOW['WORKFLOW_TRIES'] must be a whole number", "3")),
        ({"TRUST_PROXY": "yes"}, ("CHATFLOW['TRUST_PROXY'] must be True or False", "False")),
        ({"AI_FALLBACK_MODELS": "offline"}, ("must be a list of names, not 'offline'.", "[]")),
        ({"AI_ROUTING": "guess"}, ("must be tools or request, not 'guess'.", "'tools'")),
        ({"AI_SETTINGS": []}, ("CHATFLOW['AI_SETTINGS'] must be a dictionary, not [].", "{}")),
        ({"DIALECTS": ["soap"]}, ("must have names of chat-completions, ", "'responses'")),
        ({"DIALECTS": ["mpc", "ag_ui"]}, ("not 'mpc'", "Write ['mcp', 'ag-ui']. The default is [")),
        ({"DIALECTS": "mcp"}, ("must be a list of names, not 'mcp'.", "Write ['mcp'].")),
        ({"AI_ROUTING": "tool"}, ("must be tools or request", "Write 'tools'.")),
        ({"RATE_LIMIT_SEND": "many"}, ("must look like 60/min, not 'many'.", "'60/min'")),
        ({"REDIS_URL": "http://:secret@h"}, ("must be a URL that begins with redis://.", "''")),
        ({"TENANT": "nowhere.at_all"}, ("must be the dotted name of a function (No module", "''")),
        ({"MAY_USE": "math.pi"}, ("must be the dotted name of a function, not 'math.pi'", "''")),
        ({"TENANT": 7}, ("must be the dotted name of a function", "''")),
        ([], ("CHATFLOW must be a dictionary, not [].", "CHATFLOW = {")),
    ],
)
def test_mistakes(written: Any, told: tuple[str, str], settings: LazySettings) -> None:
    settings.CHATFLOW = written
    ((mistake, hint),) = mistakes()
    assert told[0] in mistake
    assert told[1] in hint
    assert "secret" not in mistake
    (error,) = check_settings(None)
    assert (error.id, error.msg, error.hint) == ("chatflow.E002", mistake, hint)


def test_a_wrong_value_stops_who_reads_it(settings: LazySettings) -> None:
    settings.CHATFLOW = {"WORKFLOW_TRIES": 0}
    with pytest.raises(
        ImproperlyConfigured, match=r"CHATFLOW\['WORKFLOW_TRIES'\] must be at least"
    ):
        _ = conf.WORKFLOW_TRIES


def test_where_it_stands(settings: LazySettings) -> None:
    settings.PLACE_OF_SETTING = lambda name: f"line 3 of .env, {name}"
    assert place("AI_MODEL") == "line 3 of .env, AI_MODEL"
    del settings.PLACE_OF_SETTING
    assert place("AI_MODEL") == "in CHATFLOW"
