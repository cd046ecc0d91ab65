"""How a model is to answer."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.core.checks import run_checks

from chatflow.workflows.ai.model_settings import ModelSettings, check
from tests.configure import configure


def test_it_works() -> None:
    every: ModelSettings = {
        "temperature": 0.2,
        "top_p": 0.9,
        "max_tokens": 800,
        "thinking": "low",
        "extra_body": {"min_p": 0.1},
    }

    check(every)
    check({"temperature": 1, "thinking": False})
    check({})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"temprature": 1}, "temprature: Extra inputs are not permitted."),
        ({"max_tokens": "800"}, "max_tokens: Input should be a valid integer."),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1."),
        ({"temperature": -1}, "temperature: Input should be greater than or equal to 0."),
        ({"thinking": "lots"}, "thinking: Input should be 'minimal', 'low'"),
        ({"extra_body": []}, "extra_body: Input should be a valid dictionary."),
    ],
)
def test_what_is_wrong(wrong: dict[str, Any], told: str, settings: LazySettings) -> None:
    with pytest.raises(ValueError, match=told.split(":")[0]) as error:
        check(wrong)
    assert str(error.value).startswith(told)
    configure(settings, AI_SETTINGS=wrong)
    (found,) = [each for each in run_checks() if each.id == "workflows.E004"]
    assert str(error.value) in found.msg
