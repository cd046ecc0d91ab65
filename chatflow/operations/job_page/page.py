"""The page itself, as a mixin of the admin's class for jobs: its addresses, and what it shows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.views.decorators.cache import never_cache

from chatflow.operations import audit
from chatflow.operations.job_page import bars, copies, wording
from chatflow.operations.job_page.acts import ACTS, Refused, offered, perform, pretty
from chatflow.operations.job_page.lineage import make_lineage
from chatflow.operations.job_page.records import (
    Records,
    Sight,
    find_job,
    read,
    read_frames,
    read_results,
)
from chatflow.operations.job_page.replay import Screen, fold, frames
from chatflow.operations.job_page.timeline import make_timeline
from chatflow.operations.live import stream_address
from chatflow.operations.roles import (
    FORM_HIDDEN,
    HIDDEN,
    may_approve,
    may_decide,
    may_operate,
    may_read_texts,
)
from chatflow.workflows.models import STAFF, Event, Job, Message, State
from chatflow.workflows.registry import all_workflows
from chatflow.workflows.services import on_behalf

NAME = "chatflow_workflows_job"
# What members of the staff did to the job, the latest.
ACTS_SHOWN = 20

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = object


class JobPage(ModelAdmin):
    """Shows one job, and takes what is done about it."""

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the page's parts in front of the admin's own."""

        def part(route: str, view: Any, name: str) -> URLPattern:
            wrapped = self.admin_site.admin_view(view)
            found: URLPattern = path(f"<str:object_id>/{route}", wrapped, name=f"{NAME}_{name}")
            return found

        return [
            part("act/<str:act>/", self.act_view, "act"),
            part("frames/", self.frames_view, "frames"),
            part("case/", self.case_view, "case"),
            part("step/<int:step>/", self.step_view, "step"),
            *super().get_urls(),
        ]

    @method_decorator(never_cache)
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page; a GET changes nothing."""
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        job = find_job(self.get_queryset(request), object_id)
        if job is None:
            return super().change_view(request, object_id, form_url, extra_context)
        if not self.has_view_or_change_permission(request, job):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            **describe(request, job),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "chatflow/operations/job.html", context)

    @method_decorator(never_cache)
    def act_view(self, request: HttpRequest, object_id: str, act: str) -> HttpResponseBase:
        """Do what was asked for, and show the job that goes on; or else this one."""
        job = self._find(request, object_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if act not in ACTS:
            raise Http404
        if not ACTS[act].is_for(request.user):
            raise PermissionDenied
        goes_on = job
        try:
            done = perform(request, job, ACTS[act])
        except Refused as refused:
            messages.error(request, str(refused))
        else:
            if done.job is not None:
                goes_on = done.job
                link = format_html('<a href="{}">{}</a>', _url(job), "The job before")
                messages.success(request, format_html("{} {}.", done.words, link))
            else:
                messages.success(request, done.words)
        return HttpResponseRedirect(_url(goes_on))

    @method_decorator(never_cache)
    def frames_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the next frames of the job's stream, with their times."""
        job = self._find(request, object_id)
        if not (may_read_texts(request.user) and _sight(request.user).events):
            raise PermissionDenied
        after = request.GET.get("after", "0")
        if not (after.isdecimal() and len(after) < 10):
            raise Http404
        found = frames(job, read_frames(job, int(after)))
        return JsonResponse({"frames": found, "last": job.last_seq, "finished": job.is_finished})

    @method_decorator(never_cache)
    def case_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the job as a test case, to be kept as a file."""
        job = self._find(request, object_id)
        if not (may_read_texts(request.user) and _sight(request.user).steps):
            raise PermissionDenied
        return HttpResponse(
            copies.as_case(job),
            content_type="application/json; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{job}.json"'},
        )

    @method_decorator(never_cache)
    def step_view(self, request: HttpRequest, object_id: str, step: int) -> HttpResponse:
        """Return all that a step recorded, as text."""
        job = self._find(request, object_id)
        if not (may_read_texts(request.user) and _sight(request.user).steps):
            raise PermissionDenied
        row = job.steps.filter(pk=step).first()
        if row is None:
            raise Http404
        # As text, so that no browser takes it for anything else.
        return HttpResponse(pretty(row.result), content_type="text/plain; charset=utf-8")

    def _find(self, request: HttpRequest, object_id: str) -> Job:
        job = find_job(self.get_queryset(request), object_id)
        if job is None:
            raise Http404
        if not self.has_view_or_change_permission(request, job):
            raise PermissionDenied
        return job


def _sight(user: Any) -> Sight:
    def sees(model: str) -> bool:
        return bool(user.has_perm(f"chatflow_workflows.view_{model}"))

    return Sight(
        texts=may_read_texts(user),
        steps=sees("step"),
        events=sees("event"),
        messages=sees("message"),
        acts=bool(user.has_perm("chatflow_operations.view_act")),
        operate=may_operate(user),
        decide=may_decide(user),
    )


def describe(request: HttpRequest, job: Job) -> dict[str, Any]:
    """Return what the template shows of a job."""
    sight, whole = _sight(request.user), "all" in request.GET
    before = request.GET.get("before", "")
    before_event = int(before) if before.isdecimal() and len(before) < 10 else None
    found = read(job, sight, whole=whole, before=before_event)
    timeline = make_timeline(job, found.events, found.steps, found.now)
    listed, left_out = bars.choose(timeline, whole=whole)
    recorded = [bar.record for bar in listed if bar.record is not None]
    results = read_results(recorded) if sight.texts else {}
    lineage = make_lineage(found)
    acts = offered(request.user, job, asks=found.asks, is_retried=lineage.is_retried)
    shown = bars.draw(timeline, listed, found, sight, results)
    for bar in shown:
        bar.may_retry = bar.may_retry and "retry-from" in acts
    titles = {workflow.name: workflow.title for workflow in all_workflows()}
    title = titles.get(job.workflow, job.workflow)
    return {
        "title": f"{title} for {job.user}",
        "job": job,
        "sight": sight,
        "found": found,
        "hidden": HIDDEN,
        "workflow": title,
        "state": wording.state_of(job, asks=found.asks),
        "facts": _facts(found),
        "bars": shown,
        "retry_from": _chosen(shown, request.GET.get("from", "")),
        "left_out": left_out,
        "whole": whole,
        "ticks": _ticks(found),
        "marks": " ".join(f"{at}:{place * bars.WIDTH:.0f}" for at, place in timeline.marks()),
        "log": [_entry(event, job, sight) for event in found.log],
        "earlier_events": found.log[0].seq - 1 if found.log else 0,
        "later_events": job.last_seq - found.log[-1].seq if found.log else 0,
        "screen": _screen(found),
        "asked": _asked(found),
        "sent_by": (job.options.get(STAFF) or {}).get("by", ""),
        "lineage": lineage,
        "acts": acts,
        "acted": list(audit.acts_on(job)[:ACTS_SHOWN]) if sight.acts else [],
        "origin": on_behalf.begin_of(job),
        "origin_input": pretty(on_behalf.begin_of(job).input),
        "form": _form(job, acts),
        "details": pretty(found.approval.details) if found.approval else "",
        "may_approve": bool(found.approval and may_approve(request.user, found.approval)),
        "form_hidden": FORM_HIDDEN,
        "approval_schema": _schema(found.approval.schema if found.approval else None),
        "answer_schema": _schema((job.awaiting or {}).get("schema")),
        "curl": copies.as_curl(request, job) if sight.texts else "",
        "technical": _technical(job, sight),
        "stream": stream_address(job) if sight.texts and sight.events else "",
        "change_url": _url(job),
        "feedback": getattr(job, "feedback", None),
    }


def _chosen(shown: Sequence[bars.Shown], step: str) -> bars.Shown | None:
    """Return the bar of the step from which the job is to be done again, if that can be done."""
    return next((bar for bar in shown if bar.may_retry and str(bar.step) == step), None)


def _facts(found: Records) -> list[tuple[str, str]]:
    """Return the few figures below the title."""
    job = found.job
    facts = [("Sent", f"{timezone.localtime(job.created_at):%d %b %Y, %H:%M:%S}")]
    begun = job.started_at or job.finished_at or found.now
    waited = max(0.0, (begun - job.created_at).total_seconds())
    facts.append(("Waited", wording.duration(waited)))
    if job.started_at is not None:
        seconds = job.ran_for
        if job.claimed_at is not None and not job.is_finished and job.state != State.QUEUED:
            seconds += max(0.0, (found.now - job.claimed_at).total_seconds())
        facts.append(("Worked", wording.duration(seconds)))
    if found.place is not None:
        facts.append(("Place in the queue", f"{found.place:,}"))
    if job.attempt > 1:
        facts.append(("Attempts", str(job.attempt)))
    return facts + wording.usage_facts(job.usage)


def _ticks(found: Records) -> list[str]:
    """Return the words at the two ends of the timeline."""
    end = found.job.finished_at or found.now
    return ["sent", wording.duration(max(0.0, (end - found.job.created_at).total_seconds()))]


def _entry(event: Event, job: Job, sight: Sight) -> dict[str, Any]:
    data = {name: value for name, value in event.data.items() if name != "said"}
    text = pretty(data) if data else ""
    return {
        "seq": event.seq,
        "type": wording.EVENTS.get(event.type, event.type),
        "after": wording.duration(max(0.0, (event.created_at - job.created_at).total_seconds())),
        "progress": event.progress,
        "message": event.message if sight.texts or not event.message else HIDDEN,
        "data": wording.cut(text)[0] if sight.texts or not data else HIDDEN,
        "attempt": event.attempt,
    }


def _screen(found: Records) -> Screen:
    """Return what stands on the user's screen of this turn now."""
    job = found.job
    screen = fold(frames(job, found.events))
    screen.progress, screen.message = job.progress, screen.message or job.progress_message
    if not job.is_finished:
        screen.message = job.progress_message
        screen.state = job.state
    screen.text = found.words
    if job.is_finished and screen.end is None:
        # Who may not see the log still sees the answer.
        screen.state = job.state
        screen.end = {"response": job.response, "error": job.error, "code": job.code}
    return screen


def _asked(found: Records) -> str:
    """Return the message as the conversation has it, with who sent it for the user."""
    said = [row.content for row in found.own if row.role == Message.Role.USER]
    return said[0] if said else found.job.text


def _form(job: Job, acts: set[str]) -> str:
    """Return the schema of the form that gave the input, for the one who edits it."""
    if "edit" not in acts or on_behalf.begin_of(job).input is None:
        return ""
    form = on_behalf.find_form(on_behalf.begin_of(job))
    return pretty(form.get("schema")) if form else ""


def _schema(schema: Any) -> str:
    return pretty(schema) if schema else ""


def _technical(job: Job, sight: Sight) -> list[tuple[str, Any]]:
    """Return what only those need who look for a fault in the machinery."""
    rows: Sequence[tuple[str, Any]] = (
        ("Job id", job.public_id),
        ("Row", job.pk),
        ("Workflow", job.workflow),
        ("Organisation", job.tenant),
        ("Sent for", "an answer at once" if job.mode == "sync" else "the background"),
        ("Workflow was named by the client", "yes" if job.explicit else "no"),
        ("Options", pretty(job.options) if job.options and sight.texts else ""),
        ("Queue", job.queue),
        ("Priority", job.priority),
        ("Coroutine", "yes" if job.is_async else "no"),
        ("Run by a web process", "yes" if job.inline else "no"),
        ("Turn in the queue", job.turn),
        ("Unique key", job.unique_key if sight.texts else None),
        ("Idempotency key", job.idempotency_key),
        ("Attempts", job.attempt),
        ("Workers lost", job.lost),
        ("Attempts that raised", job.failures),
        ("Host", job.host),
        ("Process", job.pid),
        ("Worker", job.worker),
        ("Lease until", job.lease_until),
        ("Taken by its worker", job.claimed_at),
        ("May run from", job.available_at),
        ("Started", job.started_at),
        ("Ended", job.finished_at),
        ("Last change", job.updated_at),
        ("Events", job.last_seq),
        ("On the list of failures", "no" if job.forgotten or not job.is_unsuccessful else "yes"),
    )
    return [(name, value) for name, value in rows if value not in (None, "")]


def _url(job: Job) -> str:
    return reverse(f"admin:{NAME}_change", args=(job.pk,))
