"""pydantic-ai takes a second to import: nobody waits for it who calls no model."""

import subprocess
import sys

import pytest

START = {
    "the public API": "import workflows",
    "the web process": "import chatflow.asgi",
    "manage.py check": "from django.core.management import call_command; call_command('check')",
}
QUIET = "import django; django.setup(); import sys; {code}; sys.exit('pydantic_ai' in sys.modules)"


@pytest.mark.parametrize("code", START.values(), ids=START)
@pytest.mark.parametrize("model", ["offline", "openai:gpt-5-mini"])
def test_it_is_imported_by_the_first_call_only(
    code: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "chatflow.settings")
    monkeypatch.setenv("AI_MODEL", model)

    subprocess.run([sys.executable, "-c", QUIET.format(code=code)], check=True)
