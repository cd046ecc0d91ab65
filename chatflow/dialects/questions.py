"""A question as plain words, for clients that show text alone; and the schema of its answer."""

from typing import Any


def in_words(response: str, awaiting: dict[str, Any] | None) -> str:
    """Return an answer's text; behind that of a choice stand its labels, one a line.

    Args:
        response: the job's.
        awaiting: what it waits for, if it asks.
    """
    choices = (awaiting or {}).get("choices") or []
    labels = [f"{number}. {choice['label']}" for number, choice in enumerate(choices, 1)]
    return "\n".join([response, *labels])


def schema_of(awaiting: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of the answer to a question.

    Args:
        awaiting: what the job waits for.
    """
    match awaiting["kind"]:
        case "choice":
            choices = awaiting["choices"]
            options = [{"const": str(each["value"]), "title": each["label"]} for each in choices]
            return {"type": "string", "oneOf": options}
        case "confirm":
            return {"type": "boolean"}
        case "form":
            return dict(awaiting["schema"])
        case "approval":
            return _decision(awaiting.get("schema"))
        case _:
            return {"type": "string"}


def _decision(form: dict[str, Any] | None) -> dict[str, Any]:
    """Return the schema of a decision, with which a form may be filled in."""
    fields: dict[str, Any] = {"approved": {"type": "boolean"}, "reason": {"type": "string"}}
    schema = {"type": "object", "properties": fields, "required": ["approved"]}
    if form is None:
        return schema
    fields["answer"] = {name: value for name, value in form.items() if name != "$defs"}
    # What its references name is looked for from the root.
    return {**schema, "$defs": form["$defs"]} if "$defs" in form else schema
