"""The agent card: what this site can do, for whoever asks; a skill is a workflow."""

from typing import Any

from django.urls import reverse
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import authentication_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.conf import conf
from chatflow.dialects.a2a import PROGRESS
from chatflow.endpoints.views import api_view
from chatflow.wire.routes import PROTOCOLS
from chatflow.workflows.registry import Workflow, all_workflows

VERSION = "1.0"
TEXT = ["text/plain"]


@extend_schema(
    summary="The A2A agent card", auth=[], request=None, responses={200: OpenApiTypes.OBJECT}
)
@api_view(["GET"])
@authentication_classes([])
@permission_classes([AllowAny])
def card(request: Request) -> Response:
    url = request.build_absolute_uri(reverse(f"{PROTOCOLS}:a2a"))
    return Response(
        {
            "name": spectacular_settings.TITLE or "Chatflow",
            "description": spectacular_settings.DESCRIPTION,
            "version": spectacular_settings.VERSION or "1",
            "supportedInterfaces": [
                {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": VERSION}
            ],
            "capabilities": {
                "streaming": True,
                "pushNotifications": False,
                "extensions": [
                    {"uri": PROGRESS, "description": "Each line of progress, in percent."}
                ],
            },
            "defaultInputModes": TEXT,
            "defaultOutputModes": TEXT,
            # Whoever asks is a stranger, who may use none that not everybody may.
            "skills": [] if conf.MAY_USE else [_skill(each) for each in all_workflows()],
            "securitySchemes": {"bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}},
            "securityRequirements": [{"schemes": {"bearer": {"list": []}}}],
        }
    )


def _skill(workflow: Workflow) -> dict[str, Any]:
    return {
        "id": workflow.name,
        "name": workflow.title,
        "description": workflow.description or workflow.title,
        # The protocol wants one at least.
        "tags": [*workflow.triggers] or [workflow.name],
    }
