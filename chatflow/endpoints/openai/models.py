"""What may be named as the model: the workflows, and the models that may be chosen."""

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.answers.errors import Refused
from chatflow.endpoints import speaking
from chatflow.endpoints.openai.asking import no_model
from chatflow.endpoints.openai.shapes import ModelBody, ModelsBody, refusals
from chatflow.endpoints.views import api_view


def shown(name: str) -> ModelBody:
    # When a workflow was written is not known.
    return {"id": name, "object": "model", "created": 0, "owned_by": "chatflow"}


@extend_schema(
    operation_id="v1_models_list",
    summary="List the models",
    responses={200: ModelsBody, **refusals(401, 403, 503)},
)
@api_view(["GET"])
def models(request: Request) -> Response:
    body: ModelsBody = {
        "object": "list",
        "data": [shown(name) for name in speaking.offered(request)],
    }
    return Response(body)


@extend_schema(
    summary="Look at a model", responses={200: ModelBody, **refusals(401, 403, 404, 503)}
)
@api_view(["GET"])
def model(request: Request, name: str) -> Response:
    if name not in speaking.offered(request):
        raise Refused(no_model(name))
    return Response(shown(name))


urlpatterns = [
    path("v1/models", models, name="models"),
    path("v1/models/<path:name>", model, name="model"),
]
