"""What the OpenAPI schema says of the one address of MCP."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse

JSON = dict[str, Any]

ID: JSON = {"oneOf": [{"type": "string", "maxLength": 255}, {"type": "integer"}]}
REQUEST: JSON = {
    "application/json": {
        "type": "object",
        "properties": {
            "jsonrpc": {"type": "string", "enum": ["2.0"]},
            "id": ID,
            "method": {"type": "string", "minLength": 1},
            "params": {"type": "object"},
        },
        "required": ["jsonrpc", "id", "method"],
    }
}
ERROR: JSON = {
    "type": "object",
    "properties": {
        "jsonrpc": {"type": "string", "enum": ["2.0"]},
        "id": {**ID, "nullable": True},
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "data": {},
            },
            "required": ["code", "message"],
        },
    },
    "required": ["jsonrpc", "id", "error"],
}
ANSWER: JSON = {
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "jsonrpc": {"type": "string", "enum": ["2.0"]},
                "id": ID,
                "result": {"type": "object"},
            },
            "required": ["jsonrpc", "id", "result"],
        },
        ERROR,
    ]
}
REFUSALS = (400, 401, 403, 404, 413, 415, 429, 503)
RESPONSES: dict[Any, Any] = {
    (200, "application/json"): ANSWER,
    (200, "text/event-stream"): OpenApiTypes.STR,
    202: OpenApiResponse(description="A notification was taken."),
    **dict.fromkeys(REFUSALS, ERROR),
}
