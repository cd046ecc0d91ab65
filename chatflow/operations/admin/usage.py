"""What was used, by user, workflow, model or day; and who is near a daily budget."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import F, FloatField, Q, Value
from django.db.models.functions import Cast, Greatest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse

from chatflow.conf import conf
from chatflow.operations.admin.tables import BigTableAdmin
from chatflow.workflows import clock
from chatflow.workflows.models import DailyUsage, UsageMark
from chatflow.workflows.services import usage
from chatflow.workflows.services.usage import Asked, Usage
from chatflow.workflows.users import find_user

# Rows that the page shows, the dearest first; the download has them all.
SHOWN = 100
# Whoever has used so much of a budget is near it.
NEAR = 0.8
DAYS = {"day": 1, "week": 7, "month": 30}
COLUMNS = ("requests", "input_tokens", "output_tokens", "cost", "unpriced")
NOTHING = Usage({}, dict.fromkeys(COLUMNS, 0), is_cut=False)


class PeriodForm(forms.Form):
    """Which days, of whom, and by what; whatever is wrong is left out."""

    by = forms.ChoiceField(
        choices=[(name, name.capitalize()) for name in ("user", "workflow", "model", "day")],
        required=False,
    )
    span = forms.ChoiceField(
        choices=[
            ("day", "Today"),
            ("week", "7 days"),
            ("month", "30 days"),
            ("days", "These days:"),
        ],
        required=False,
    )
    since = forms.DateField(
        required=False, label="From", widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        required=False, label="To", widget=forms.DateInput(attrs={"type": "date"})
    )
    user = forms.CharField(required=False)
    workflow = forms.CharField(required=False)
    model = forms.CharField(required=False)


@dataclass(frozen=True)
class Period:
    """Days, both ends included."""

    since: date
    until: date


@dataclass
class Line:
    """A row of the page."""

    name: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost: Decimal
    unpriced: int
    # Of the most of all rows, 0 to 100.
    share: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Budgeted:
    """A user's part of the budgets of today, in percent of what they may use."""

    name: str
    requests: int
    tokens: int
    percent: int


@admin.register(DailyUsage)
class DailyUsageAdmin(BigTableAdmin):
    """The list is the page of all usage; the rows behind it are those of the daily budgets."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = PeriodForm(request.GET)
        form.is_valid()
        asked: dict[str, Any] = form.cleaned_data
        by, period = asked.get("by") or "user", read_period(asked)
        question = find(period, asked)
        if request.GET.get("format") == "csv":
            return download(question, by, period)
        used = usage.usage(question, by, SHOWN) if question else NOTHING
        names = name_all(by, list(used.rows))
        shown = [read_line(names[key], row) for key, row in used.rows.items()]
        measure(shown)
        mark = UsageMark.objects.first()
        form = PeriodForm(
            initial={**asked, "by": by, "since": period.since, "until": period.until}
            | ({} if asked.get("span") else {"span": "days" if asked.get("since") else "week"})
        )
        context = {
            **self.admin_site.each_context(request),
            "title": "Usage",
            "opts": self.opts,
            "form": form,
            "by": by,
            "period": period,
            "lines": shown,
            "is_cut": used.is_cut,
            "most": usage.MOST_DAYS if by == "day" else SHOWN,
            "total": read_line("All", used.total),
            "upto": mark.finished_at if mark is not None and mark.job else None,
            "limits": {"requests": conf.AI_DAILY_REQUESTS, "tokens": conf.AI_DAILY_TOKENS},
            "budgets": near_budgets(),
            "near": round(100 * NEAR),
            "query": download_query(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "chatflow/operations/usage.html", context)


def read_period(asked: dict[str, Any]) -> Period:
    """Return the days that are asked for; by default the last seven, by UTC."""
    today = clock.now().date()
    span, since, until = (asked.get(name) for name in ("span", "since", "until"))
    if span in DAYS or not (since or until):
        return Period(today - timedelta(days=DAYS.get(str(span), 7) - 1), today)
    until = until or today
    return Period(min(since or until, until), until)


def find(period: Period, asked: dict[str, Any]) -> Asked | None:
    """Return what is asked about; None where it is a user whom nobody knows."""
    user = find_user(asked["user"]) if asked.get("user") else None
    if asked.get("user") and user is None:
        return None
    key = user.pk if user is not None else None
    only = {name: asked.get(name) or "" for name in ("workflow", "model")}
    return Asked(period.since, period.until, user=key, **only)


def name_all(by: str, keys: Sequence[Any]) -> dict[Any, str]:
    if by != "user":
        return {key: str(key) for key in keys}
    users = get_user_model()._default_manager.in_bulk(keys)
    return {key: users[key].get_username() if key in users else "-" for key in keys}


def read_line(name: str, row: dict[str, Any]) -> Line:
    numbers: dict[str, Any] = {column: row[column] or 0 for column in COLUMNS}
    return Line(name=name, **numbers)


def measure(lines: Sequence[Line]) -> None:
    """Set how long the lines' bars are: by cost, or where nothing has a price by tokens."""
    sizes = [float(line.cost) for line in lines]
    if not any(sizes):
        sizes = [float(line.tokens) for line in lines]
    most = max(sizes, default=0.0)
    for line, size in zip(lines, sizes, strict=True):
        line.share = round(100 * size / most) if most else 0


def near_budgets() -> list[Budgeted]:
    """Return the users who have used most of a budget of today, those nearest to it first."""
    limits = {"requests": conf.AI_DAILY_REQUESTS, "tokens": conf.AI_DAILY_TOKENS}
    shares = {
        name: Cast(F(name), FloatField()) / Value(float(limit))
        for name, limit in limits.items()
        if limit
    }
    if not shares:
        return []
    near = Q()
    for name in shares:
        near |= Q(**{f"{name}__gte": NEAR * limits[name]})
    share = Greatest(*shares.values()) if len(shares) > 1 else next(iter(shares.values()))
    rows = DailyUsage.objects.filter(near, day=clock.now().date()).annotate(share=share)
    return [
        Budgeted(row.user.get_username(), row.requests, row.tokens, int(100 * row.share))
        for row in rows.select_related("user").order_by("-share", "pk")[:SHOWN]
    ]


def download_query(request: HttpRequest) -> str:
    query = request.GET.copy()
    query["format"] = "csv"
    return query.urlencode()


class Echo:
    """What csv writes to: it returns the line instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def download(question: Asked | None, by: str, period: Period) -> HttpResponseBase:
    """Return all rows as CSV. No cell is taken for a formula by the program that opens it."""

    def rows() -> Iterator[str]:
        writer = csv.writer(Echo())
        yield writer.writerow([by, *COLUMNS])
        found = usage.group(question, by).iterator(chunk_size=500) if question else iter(())
        while part := [row for _, row in zip(range(500), found, strict=False)]:
            names = name_all(by, [row[by] for row in part])
            for row in part:
                cells = [as_text(names[row[by]]), *(row[column] or 0 for column in COLUMNS)]
                yield writer.writerow(cells)

    name = f"usage-by-{by}-{period.since}-{period.until}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(rows(), content_type="text/csv; charset=utf-8", headers=headers)


def as_text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
