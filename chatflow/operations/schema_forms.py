"""A form of Django's made of the JSON schema of an answer, for whoever gives it in the admin.

A field of a kind that has no input of its own is filled in as JSON. Whether the answer fits is for
the schema to say, as everywhere; see dialogue.forms.
"""

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from chatflow.workflows.dialogue.form_keys import ORDER
from chatflow.workflows.running.questions import as_json

# In front of each field's name, so that it is none of the page's own.
PREFIX = "answer"
# Characters from which a text gets more than a line.
LONG = 200
# References that are followed from one to the next.
DEPTH = 10


class JsonField(forms.CharField):
    """A value of any kind, written as JSON."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        found = as_json(text)
        if found is None and text.strip() != "null":
            raise ValidationError("This is not JSON.")
        return found


class ChoiceField(forms.ChoiceField):
    """One of the values that the schema names, of whatever type they are."""

    def __init__(self, values: list[Any], **options: Any) -> None:
        self.values = values
        named = [(str(place), as_words(value)) for place, value in enumerate(values)]
        super().__init__(choices=[("", "---------"), *named], **options)

    def clean(self, value: Any) -> Any:
        chosen = super().clean(value)
        return None if chosen == "" else self.values[int(chosen)]


def as_words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class SchemaForm(forms.Form):
    """The fields of an answer.

    Args:
        schema: an object with properties, as dialogue.forms.schema_of() returns it.
        data: as it was posted, if it was.
    """

    def __init__(self, schema: Mapping[str, Any], data: Any = None) -> None:
        super().__init__(data, prefix=PREFIX)
        required = set(schema.get("required", ()))
        properties = schema["properties"]
        ordered = dict.fromkeys([*schema.get(ORDER, ()), *properties])
        for name in ordered:
            if name in properties:
                part = resolve(properties[name], schema)
                self.fields[name] = make_field(name, part, name in required)

    def answer(self) -> dict[str, Any]:
        """Return what was filled in; a field that was left empty is left out."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if value is not None and (value != "" or self.fields[name].required)
        }

    def complain(self, errors: Mapping[str, list[str]]) -> None:
        """Show beside each field what the schema has against its value."""
        for name, texts in errors.items():
            self.add_error(name if name in self.fields else None, [*texts])


def resolve(given: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a property without references, and without the null that makes it optional."""
    part: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {}
    for _ in range(DEPTH):
        inner = [each for each in part.get("anyOf", ()) if each != {"type": "null"}]
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            found = follow(reference, schema)
        elif len(inner) == 1 and isinstance(inner[0], dict):
            found = inner[0]
        else:
            break
        rest = {name: value for name, value in part.items() if name not in ("$ref", "anyOf")}
        part = {**found, **rest}
    return part


def follow(reference: str, schema: Any) -> dict[str, Any]:
    for name in reference.removeprefix("#/").split("/"):
        key = name.replace("~1", "/").replace("~0", "~")
        schema = schema.get(key) if isinstance(schema, Mapping) else None
    return dict(schema) if isinstance(schema, Mapping) else {}


def make_field(name: str, part: Mapping[str, Any], required: bool) -> forms.Field:
    """Return the field for a property."""
    kind, preset = part.get("type"), part.get("default")
    options: dict[str, Any] = {
        "label": str(part.get("title") or name),
        "help_text": str(part.get("description") or ""),
        "required": required,
        "initial": preset,
    }
    values = part.get("enum") or ([part["const"]] if "const" in part else None)
    if isinstance(values, list):
        if preset in values:
            options["initial"] = str(values.index(preset))
        return ChoiceField(values, **options)
    if kind == "boolean":
        # Not ticked means no, which is an answer too.
        return forms.BooleanField(**{**options, "required": False})
    if kind == "integer":
        return forms.IntegerField(**options)
    if kind == "number":
        return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **options)
    if kind == "string":
        is_long = int(part.get("maxLength", 0) or 0) > LONG
        widget = forms.Textarea(attrs={"rows": 4}) if is_long else forms.TextInput()
        return forms.CharField(widget=widget, strip=False, **options)
    if preset is not None:
        options["initial"] = json.dumps(preset, ensure_ascii=False)
    options["help_text"] = f"{options['help_text']} As JSON.".strip()
    return JsonField(widget=forms.Textarea(attrs={"rows": 4}), **options)
