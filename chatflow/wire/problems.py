"""An error as a client will see it, before it has the form of any dialect."""

import json
from dataclasses import dataclass, field
from typing import Annotated, NotRequired, TypedDict


class ErrorBody(TypedDict):
    success: bool
    error: Annotated[str, "One sentence for people."]
    code: Annotated[str, "One word for programs."]
    errors: NotRequired[dict[str, list[str]]]
    session_id: NotRequired[Annotated[str, "Of a sync send whose job did not complete."]]
    job_id: NotRequired[Annotated[str, "Of a sync send whose job did not complete."]]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error as the client will see it."""

    status: int
    code: str
    error: str
    errors: dict[str, list[str]] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> ErrorBody:
        body: ErrorBody = {"success": False, "error": self.error, "code": self.code}
        if self.errors:
            body["errors"] = self.errors
        return body

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode()
