"""pydantic-ai takes a second to import: nobody waits for it who calls no model."""

import subprocess
import sys

import pytest

# One process begins all of these, one after the other, and names the first that was too eager.
START = {
    "Django": "import django; django.setup()",
    "the public API": "import workflows",
    "the web process": "import chatflow.asgi",
    "manage.py check": "from django.core.management import call_command; call_command('check')",
}
QUIET = """
import sys
for name, code in {start!r}.items():
    exec(code)
    if "pydantic_ai" in sys.modules:
        sys.exit(f"{{name}} imports it.")
"""


@pytest.mark.parametrize("model", ["offline", "openai:gpt-5-mini"])
def test_it_is_imported_by_the_first_call_only(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "chatflow.settings")
    monkeypatch.setenv("AI_MODEL", model)

    subprocess.run([sys.executable, "-c", QUIET.format(start=START)], check=True)
