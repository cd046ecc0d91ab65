"""The router of docs/install.md, and a table of the team's that points to users."""

from pathlib import Path
from typing import Any

from tests.acceptance.markdown import block

PAGE = Path(__file__).parents[2] / "docs" / "install.md"

_shown: dict[str, Any] = {}
exec(block(PAGE, "In a database of its own", "python", 1), _shown)


ChatRouter: Any = _shown["ChatRouter"]


class Router(ChatRouter):  # type: ignore[misc]
    neighbours = ChatRouter.neighbours | {"host"}
