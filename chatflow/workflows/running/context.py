"""The argument of a workflow: the verbs with which it works, asks and answers, on one page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, Unpack, overload

from asgiref.sync import sync_to_async
from pydantic import BaseModel

from chatflow.workflows.ai.messages import ChatMessage, SentFile
from chatflow.workflows.dialogue.actions import Offered, offer
from chatflow.workflows.dialogue.answers import is_help
from chatflow.workflows.knowledge.search import FOUND, Source
from chatflow.workflows.models import Job, Session
from chatflow.workflows.running import (
    approvals,
    files,
    history,
    model_routing,
    output,
    questions,
    retrieval,
    steps,
)
from chatflow.workflows.running.ai_calls import ModelCalls, Options
from chatflow.workflows.running.approvals import Approval
from chatflow.workflows.running.guide import guide
from chatflow.workflows.running.misuse import Calls, noting_calls
from chatflow.workflows.running.record import Record
from chatflow.workflows.store.lookups import find_with

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Reply:
    """A workflow's answer. See Context.reply()."""

    text: str
    actions: list[Offered] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)


@noting_calls
class Context:
    """The workflow's side of its job.

    Everything that a workflow does with it is recorded: when the function runs again, after a crash
    or with the user's next message, finished steps and given answers return what they returned,
    and words that the user has already seen aren't shown again.

    Each verb has a twin for coroutines, whose name begins with ``a``, as in Django. Those without
    one, sources() and the tool search_documents(), may be used in both.

    Attributes:
        message: the text that started the workflow, the same in every turn.
        options: the flags of send: actions, memory, intelligent_rag, model.
        files: what was sent with that message, the same in every turn too.
        job: the row itself.
        record: for the engine's own use; calls likewise.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.calls = Calls()
        self.job = record.job
        self.message: str = record.origin.text
        self.options: dict[str, Any] = record.job.options
        self.files: list[SentFile] = files.list_files(record)
        self._calls = ModelCalls(record)
        if record.is_async:
            # A coroutine can't query the database for them.
            _read_related(self.job)

    @property
    def user(self) -> Any:
        """Whose job it is."""
        return self.job.user

    @property
    def tenant(self) -> str:
        """The key of the organisation for which its user has sent it; empty for none."""
        return self.job.tenant

    @property
    def session(self) -> Session:
        """The conversation."""
        return self.job.session

    @property
    def input(self) -> dict[str, Any]:
        """The input of the action that started the workflow; empty for a message."""
        return self.record.origin.input or {}

    @property
    def steps(self) -> int | None:
        """How many steps the run has, as registered; a workflow that finds out may set it."""
        return self.record.total_steps

    @steps.setter
    def steps(self, number: int | None) -> None:
        self.record.total_steps = number

    # Work.

    def step(
        self,
        name: str,
        function: Callable[..., T],
        *args: Any,
        atomic: bool = False,
        retries: int = 0,
        **kwargs: Any,
    ) -> T:
        """Call *function* once, and remember its result for ever.

        Args:
            name: what the step does, for people; with its occurrence it is the record's key.
            function: what to do; its result must be JSON, or of the dataclass or pydantic model
                that its return annotation names.
            args: the function's own arguments; kwargs likewise.
            atomic: commit the function's database writes and the record in one transaction, so
                that they happen exactly once. Keep it short; events from inside it appear at its
                commit.
            retries: how often to call the function again when it raises.

        Returns:
            The function's result, of this run or of an earlier one.

        Raises:
            StepResultError: the result can't be recorded.
            WorkflowChanged: the recorded steps are not those of the present code.
        """
        return steps.take(self.record, name, function, args, kwargs, atomic=atomic, retries=retries)

    async def astep(
        self,
        name: str,
        function: Callable[..., Any],
        *args: Any,
        atomic: bool = False,
        retries: int = 0,
        **kwargs: Any,
    ) -> Any:
        """See step(). A coroutine function is awaited; an atomic step takes a plain one."""
        return await steps.atake(
            self.record, name, function, args, kwargs, atomic=atomic, retries=retries
        )

    def progress(self, percent: int, message: str = "") -> None:
        """Say how far the workflow is.

        Args:
            percent: 0 to 99, since 100 is the end's; the job's progress never goes back.
            message: what it is doing now.
        """
        output.report(self.record, percent, message)

    async def aprogress(self, percent: int, message: str = "") -> None:
        """See progress()."""
        await sync_to_async(self.progress)(percent, message)

    def write(self, text: str) -> None:
        """Show *text* to the user, as the next words of the response.

        A model's words may come one by one: those that follow each other within 50 ms are shown
        together.
        """
        output.write(self.record, text)

    async def awrite(self, text: str) -> None:
        """See write()."""
        await output.awrite(self.record, text)

    # Questions to the user. Each ends the turn; the user's next message is the answer.

    @overload
    def ask(self, prompt: str, *, anything: bool = ...) -> str: ...

    @overload
    def ask(self, prompt: str, *, optional: bool, anything: bool = ...) -> str | None: ...

    def ask(self, prompt: str, *, optional: bool = False, anything: bool = False) -> str | None:
        """Ask the user for a text.

        Args:
            prompt: the question.
            optional: the user may decline, with "skip" for example.
            anything: any message is the answer, also one that looks like a question of its own,
                like a call for help or for another workflow.

        Returns:
            The user's words; None if they declined.
        """
        return questions.ask(self.record, prompt, optional=optional, anything=anything)

    @overload
    async def aask(self, prompt: str, *, anything: bool = ...) -> str: ...

    @overload
    async def aask(self, prompt: str, *, optional: bool, anything: bool = ...) -> str | None: ...

    async def aask(
        self, prompt: str, *, optional: bool = False, anything: bool = False
    ) -> str | None:
        """See ask()."""
        return await sync_to_async(questions.ask)(
            self.record, prompt, optional=optional, anything=anything
        )

    def choose(self, prompt: str, choices: Sequence[Any]) -> Any:
        """Ask the user to choose.

        Args:
            prompt: the question.
            choices: at least one value, ``(value, label)`` pair or ``{"value", "label"}`` mapping;
                values are JSON.

        Returns:
            The value of the choice. The user may give its number, its value or its label.
        """
        return questions.choose(self.record, prompt, choices)

    async def achoose(self, prompt: str, choices: Sequence[Any]) -> Any:
        """See choose()."""
        return await sync_to_async(self.choose)(prompt, choices)

    def guide(self) -> str | None:
        """Return what the assistant can do, if the message is only a call for help; else None."""
        return guide(self.job) if is_help(self.message) else None

    async def aguide(self) -> str | None:
        """See guide()."""
        # Only a call for help is worth the way to a thread.
        return await sync_to_async(self.guide)() if is_help(self.message) else None

    @overload
    def confirm(self, prompt: str) -> bool: ...

    @overload
    def confirm(self, prompt: str, *, or_text: bool) -> bool | str: ...

    def confirm(self, prompt: str, *, or_text: bool = False) -> bool | str:
        """Ask the user for a yes or a no.

        Args:
            prompt: the question.
            or_text: return an answer that is neither, instead of asking again.

        Returns:
            True, False, or with *or_text* the user's words.
        """
        return questions.confirm(self.record, prompt, or_text=or_text)

    @overload
    async def aconfirm(self, prompt: str) -> bool: ...

    @overload
    async def aconfirm(self, prompt: str, *, or_text: bool) -> bool | str: ...

    async def aconfirm(self, prompt: str, *, or_text: bool = False) -> bool | str:
        """See confirm()."""
        return await sync_to_async(questions.confirm)(self.record, prompt, or_text=or_text)

    def form(self, prompt: str, model: type[M]) -> M:
        """Ask the user to fill in a form.

        Args:
            prompt: the question.
            model: a pydantic model; its fields are the form's. The answer is a JSON object, or
                plain words where there is one field only.

        Returns:
            The form, filled in.

        Raises:
            StepResultError: the recorded answer doesn't fit the present model any more.
        """
        return questions.fill_in(self.record, prompt, model)

    async def aform(self, prompt: str, model: type[M]) -> M:
        """See form()."""
        return await sync_to_async(self.form)(prompt, model)

    def approve(
        self,
        prompt: str,
        *,
        answer: type[BaseModel] | None = None,
        expires_in: float = approvals.LIFETIME,
        details: dict[str, Any] | None = None,
    ) -> Approval:
        """Ask for approval, and go on with the decision. No worker is held meanwhile.

        The user says yes or no in the conversation, or decides through the API; or a member of the
        staff does so in the admin. The first decision counts.

        Args:
            prompt: what to approve.
            answer: a pydantic model, to be filled in by who approves.
            expires_in: seconds after which it can't be approved any more.
            details: what else to show to who decides; JSON.

        Returns:
            The decision: by whom, when and why.

        Raises:
            StepResultError: the recorded answer doesn't fit the present model any more.
        """
        return approvals.approve(
            self.record, prompt, answer=answer, expires_in=expires_in, details=details
        )

    async def aapprove(
        self,
        prompt: str,
        *,
        answer: type[BaseModel] | None = None,
        expires_in: float = approvals.LIFETIME,
        details: dict[str, Any] | None = None,
    ) -> Approval:
        """See approve()."""
        return await sync_to_async(self.approve)(
            prompt, answer=answer, expires_in=expires_in, details=details
        )

    # Models.

    @overload
    def ai(self, prompt: str | Sequence[ChatMessage], **options: Unpack[Options]) -> str: ...

    @overload
    def ai(
        self,
        prompt: str | Sequence[ChatMessage],
        *,
        output_type: type[T],
        **options: Unpack[Options],
    ) -> T: ...

    def ai(
        self,
        prompt: str | Sequence[ChatMessage],
        *,
        output_type: Any = str,
        **options: Unpack[Options],
    ) -> Any:
        """Call a model.

        Each request to the model is a step, and so is each call of a tool: recorded when it
        returns, and never made twice. Each request counts against the workflow's ``max_ai_calls``.

        Args:
            prompt: the user's words; or a conversation, ``{"role", "content"}`` mappings of which
                the last is the user's. The user's may have ``files`` too, such as ctx.files or a
                list of workflows.File: images and documents. A model that can't see images is asked
                without them, and the answer says so.
            output_type: the type of the answer: a pydantic model, a dataclass or another type that
                pydantic knows; by default text.
            options: any of these:
                tools: functions that the model may call before it answers; see ``tool``.
                instructions: for the model, about its work.
                model: the name of the model to try first, such as ``anthropic:claude-haiku-4-5``;
                by default the request's choice, or else ``AI_MODEL``.
                offline: the offline model's answer: a function of the user's latest words that
                returns it. Without one, or where it returns None, that model introduces itself, or,
                where more than text is wanted, says that it can't.
                route: offer the model the other workflows too: it may hand the message over to one
                of them, as route() does, instead of answering. Under ``AI_ROUTING=request`` it
                chooses first, by a request of its own.
                settings: how it is to answer: temperature, top_p, max_tokens, thinking (how hard to
                reason: a bool or an effort such as "low") and extra_body, the provider's own
                fields; each over what ``AI_SETTINGS`` says.
                toolless: the text for a model that can't call tools: a function of the user's
                latest words. Such a model is asked again without the tools.
                show: stream the words to the user as they come.

        Returns:
            The answer.

        Raises:
            ValueError: the prompt doesn't end with the user's words, or a setting is wrong.
            BudgetExceeded: the job, or its user today, has made all the requests that they may.
            AIUnavailable: no model could be reached, or none gave a usable answer (AIUnusable).
            AIRejected: the model refused the request, or a content filter stopped its answer.
            AIRateLimited: the model is too busy, or the account with its provider is used up.
            AIOffline: only the offline model is there, and it has no rule for this.
        """
        call = partial(model_routing.call, self.record, self._calls, prompt, output_type, options)
        return self._calls.run(call)

    @overload
    async def aai(self, prompt: str | Sequence[ChatMessage], **options: Unpack[Options]) -> str: ...

    @overload
    async def aai(
        self,
        prompt: str | Sequence[ChatMessage],
        *,
        output_type: type[T],
        **options: Unpack[Options],
    ) -> T: ...

    async def aai(
        self,
        prompt: str | Sequence[ChatMessage],
        *,
        output_type: Any = str,
        **options: Unpack[Options],
    ) -> Any:
        """See ai()."""
        call = partial(model_routing.call, self.record, self._calls, prompt, output_type, options)
        return await self._calls.arun(call)

    def route(self) -> None:
        """Hand the message over to another workflow, if the model finds that it is for that one.

        Then this doesn't return: the same job begins anew as the other workflow, in its queue and
        with its limits. The model is told the message and what workflows there are, nothing else;
        it is called once, which counts against daily budgets, not against ``max_ai_calls``. It
        isn't called where the client named the workflow or wants plain chat, and the offline model
        isn't called at all.
        """
        self._calls.run(partial(model_routing.route, self.record, self._calls))

    async def aroute(self) -> None:
        """See route()."""
        await self._calls.arun(partial(model_routing.route, self.record, self._calls))

    # Memory and documents.

    def history(self, *, tokens: int | None = None) -> list[ChatMessage]:
        """Return the session's messages before the one that started the workflow.

        They are the same in every run and turn of the workflow, and go into ctx.ai() in front of
        the present message. When a conversation has outgrown the room, its older part is
        summarised, once for many turns: by the model, which counts as a request to it, or offline
        as an extract.

        Args:
            tokens: the room for the messages, as memory.count_tokens() counts them; by default
                ``AI_MEMORY_TOKENS``. The summary comes on top.

        Returns:
            ``{"role", "content"}`` mappings, the oldest first; none where the workflow was started
            under ``memory: false``.
        """
        return self._calls.run(partial(history.recall, self.record, self._calls, tokens))

    async def ahistory(self, *, tokens: int | None = None) -> list[ChatMessage]:
        """See history()."""
        recall = partial(history.recall, self.record, self._calls, tokens)
        return await self._calls.arun(recall)

    def read_file(self, file: SentFile) -> bytes:
        """Return the bytes of one of the files that came with the message.

        Raises:
            FileDeleted: its owner has deleted it meanwhile.
        """
        return files.read(self.record, file)

    async def aread_file(self, file: SentFile) -> bytes:
        """See read_file()."""
        return await sync_to_async(self.read_file)(file)

    def read_text(self, file: SentFile) -> str:
        """Return the words of one of the files, as searches find them; an image has none.

        Raises:
            FileDeleted: its owner has deleted it meanwhile.
        """
        return files.read_text(self.record, file)

    async def aread_text(self, file: SentFile) -> str:
        """See read_text()."""
        return await sync_to_async(self.read_text)(file)

    def search(self, query: str, limit: int = FOUND) -> list[Source]:
        """Search the documents that the user may see: their own and everybody's.

        A search is a step: it is recorded, and comes again as it was.

        Args:
            query: a question or some words.
            limit: how many sources.

        Returns:
            The sources, the best first; none under ``intelligent_rag: false``.
        """
        return retrieval.find(self.record, query, limit)

    async def asearch(self, query: str, limit: int = FOUND) -> list[Source]:
        """See search()."""
        return await sync_to_async(self.search)(query, limit)

    def search_documents(self, query: str) -> str:
        """Search the user's documents, when the answer may stand there.

        Use it for questions about a product, a project or a matter of the user's own, before you
        say that you do not know. Search with the few words that matter; search again with other
        words where nothing fits.

        Args:
            query: what to look for.
        """
        # For ctx.ai(tools=[ctx.search_documents]): the model is told the words above.
        return retrieval.find_as_data(self.record, query)

    def answer_from_documents(self, query: str) -> str | None:
        """Search, and quote what fits, where there is no model to put it into words.

        The answer says that it is offline, and that it is a quotation. The sources that go with it
        are ``ctx.sources()``.

        Returns:
            The answer; None where no document is relevant enough to be one.
        """
        return retrieval.quote(self.record, query)

    async def aanswer_from_documents(self, query: str) -> str | None:
        """See answer_from_documents()."""
        return await sync_to_async(self.answer_from_documents)(query)

    def sources(self) -> list[dict[str, Any]]:
        """Return the finds of this job's searches, for ``ctx.reply(sources=…)``: the best first.

        Each part of a document stands there once, and only if it is relevant; searches that tools
        made, and those of an earlier attempt, count too.
        """
        return retrieval.list_sources(self.record)

    # The answer.

    def reply(
        self,
        text: str,
        actions: Sequence[dict[str, Any]] = (),
        sources: Sequence[dict[str, Any]] = (),
    ) -> Reply:
        """Make the workflow's answer, to be returned by it.

        Args:
            text: the response.
            actions: next moves that the user is offered, such as
                ``{"type": "link", "label": "Open", "url": "/invoices/1/"}`` or
                ``{"type": "quick_reply", "label": "Another", "message": "create invoice"}``.
            sources: of the answer, such as ``{"title": …, "url": …}``.

        Raises:
            InvalidAction: which action is wrong, and why.
        """
        made = Reply(text, offer(actions), list(sources))
        self.calls.reply()
        return made

    async def areply(
        self,
        text: str,
        actions: Sequence[dict[str, Any]] = (),
        sources: Sequence[dict[str, Any]] = (),
    ) -> Reply:
        """See reply()."""
        return self.reply(text, actions, sources)


def _read_related(job: Job) -> None:
    """Read the job's session and its user, by one query."""
    session = find_with(Session, "user", key=job.session_id)
    if session is not None:
        job.session, job.user = session, session.user
