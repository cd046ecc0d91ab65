"""Forms: the fields of a JSON schema or a pydantic model, and the mistakes in an answer.

jsonschema is imported where the first form is: it takes a tenth of a second, of each start.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def schema_of(form: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of *form*: an object with named fields.

    Raises:
        ValueError: it is no such schema.
    """
    from chatflow.workflows.dialogue import form_schemas

    return form_schemas.schema_of(form)


def problems(schema: Mapping[str, Any], data: Any) -> dict[str, list[str]]:
    """Return the mistakes in *data*, by field; none if it fits.

    A field that the schema doesn't name is wrong too: nobody shall pass in more than was asked.
    """
    from chatflow.workflows.dialogue import form_schemas

    return form_schemas.problems(schema, data)
