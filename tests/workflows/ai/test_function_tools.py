import gc
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from chatflow.workflows.ai.function_tools import make_tool


class Clock:
    def __init__(self, zone: str) -> None:
        self.zone = zone

    def tell(self, city: str, seconds: bool = False) -> str:
        """Tell the time.

        Args:
            city: where.
            seconds: exactly.
        """
        return f"{city} {self.zone} {seconds}"


async def use(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    return function(**arguments)


async def test_it_is_called_with_its_arguments() -> None:
    tools = [make_tool(Clock(zone).tell, use) for zone in ("CET", "UTC")]

    said = [
        await tool.function_schema.call({"city": "Bonn"}, None)  # type: ignore[arg-type]
        for tool in tools
    ]
    assert said == ["Bonn CET False", "Bonn UTC False"]


def test_the_same_method_is_read_once() -> None:
    first = make_tool(Clock("CET").tell, use)
    with patch("pydantic_ai.tools._function_schema.function_schema", side_effect=OSError):
        again = make_tool(Clock("UTC").tell, use)

    assert again.tool_def == first.tool_def
    assert again.tool_def.name == "tell"
    assert again.tool_def.description
    properties = again.tool_def.parameters_json_schema["properties"]
    assert properties["city"]["description"] == "where."


def test_no_owner_is_held() -> None:
    """A tool knows its job, with all its messages."""
    clock = Clock("CET")
    tool = make_tool(clock.tell, use)
    del tool
    gc.collect()

    assert [each for each in gc.get_referrers(clock) if not isinstance(each, dict)] == []
