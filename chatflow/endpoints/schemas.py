"""The OpenAPI schema. Made anew it costs 60 ms, and anybody may ask for it."""

from functools import lru_cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from chatflow.addresses import request_prefix


class Schema(SpectacularAPIView):
    """The schema, as YAML."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer: Any = request.accepted_renderer
        writer: type[BaseRenderer] = type(renderer)
        content = made(writer, request_prefix())
        name = self._get_filename(request, None)  # type: ignore[no-untyped-call]
        return HttpResponse(
            content,
            content_type=renderer.media_type,
            headers={"Content-Disposition": f'inline; filename="{name}"'},
        )


@lru_cache(maxsize=32)
def made(renderer: type[BaseRenderer], prefix: str) -> bytes:
    """Return the schema.

    Args:
        renderer: writes it.
        prefix: that of its paths, which this thread's request came by.
    """
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    content: Any = renderer().render(schema, renderer_context={})
    return bytes(content)
