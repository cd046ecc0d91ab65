"""Pages of a list, the newest first.

DRF's CursorPagination would give away two things that the API promises: that the cursor is the id
of a row, which clients have anyway, and that a wrong ``limit`` is refused; it would cut that to
size. It also answers 500 to a cursor whose position is no moment.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request

from chatflow.wire.serializers import PageSerializer

M = TypeVar("M", bound=Model)
# A list's cursor, beside its rows.
Following = Annotated[str | None, "`before` of the next page."]


def read_page(
    request: Request, found: QuerySet[M], find: Callable[[Request, str], M]
) -> tuple[list[M], M | None]:
    """Return the page that the request's ``limit`` and ``before`` ask for.

    Args:
        request: whose query says which page.
        found: all that the user may see; each row has a ``created_at``.
        find: finds a row that the request's user may see by its public id; raises where there
            is none.

    Returns:
        The rows, and the last one of them if there are more, else None.

    Raises:
        ValidationError: the query is wrong.
    """
    # As plain values: of a form's, DRF leaves out those that are empty.
    asked = PageSerializer(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    limit = asked.validated_data["limit"]
    if "before" in asked.validated_data:
        mark: Any = find(request, asked.validated_data["before"])
        # By the moment first, as the indexes of these lists are.
        found = found.filter(created_at__lte=mark.created_at).exclude(
            created_at=mark.created_at, pk__gte=mark.pk
        )
    rows = list(found.order_by("-created_at", "-pk")[: limit + 1])
    page = rows[:limit]
    return page, page[-1] if len(rows) > limit else None
