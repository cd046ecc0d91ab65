"""The OpenAPI schema. Made anew it costs 60 ms, and anybody may ask for it."""

from functools import lru_cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

from chatflow.wire.addresses import request_prefix


class Schema(SpectacularAPIView):
    """The schema, as YAML."""

    renderer_classes = [OpenApiYamlRenderer]

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        name = self._get_filename(request, None)  # type: ignore[no-untyped-call]
        return HttpResponse(
            made(request_prefix()),
            content_type=OpenApiYamlRenderer.media_type,
            headers={"Content-Disposition": f'inline; filename="{name}"'},
        )


@lru_cache(maxsize=32)
def made(prefix: str) -> bytes:
    """Return the schema for requests that came by *prefix*, which is this thread's."""
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    renderer: Any = OpenApiYamlRenderer()
    content: bytes = renderer.render(schema, renderer_context={})
    return content
