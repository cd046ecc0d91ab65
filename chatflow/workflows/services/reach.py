"""The reach of a credential: the part of its user's work that it may touch.

What a session works on, and asks, is certain only under its lock. So the verbs look there, in the
transaction in which they store a message or end a job.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from chatflow.workflows.dialogue import answers
from chatflow.workflows.exceptions import TokenRefused
from chatflow.workflows.models import Job, Session


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far a credential reaches.

    Args:
        workflow: the only one whose jobs and questions it may begin, answer or end; empty: all.
        decides: it may decide approvals.
        lists: it may list jobs, and read what was said in a conversation.
    """

    workflow: str = ""
    decides: bool = True
    lists: bool = True

    def includes(self, job: Job) -> bool:
        """Say whether *job* is within reach."""
        return self.workflow in ("", job.workflow)

    def check_ending(self, jobs: Iterable[Job]) -> None:
        """See to it that *jobs* may be ended.

        Raises:
            TokenRefused: one of them is out of reach.
        """
        if not all(map(self.includes, jobs)):
            raise TokenRefused

    def check_leaving(self, session: Session) -> None:
        """See to it that the session's open question, if there is one, may be dropped.

        Args:
            session: locked.

        Raises:
            TokenRefused: it is out of reach.
        """
        # Without a limit the question need not be read.
        if self.workflow and session.open_job is not None:
            self.check_ending([session.open_job])

    def check_answer(self, question: Job, text: str) -> None:
        """See to it that *text* may be the answer.

        With one workflow within reach nothing answers an approval; else what decides nothing may.

        Args:
            question: the job that asks; within reach.
            text: the message.

        Raises:
            TokenRefused: it would decide an approval.
        """
        if self.decides or (question.awaiting or {}).get("kind") != "approval":
            return
        if self.workflow or answers.is_decision(text):
            raise TokenRefused


# That of users themselves, and of tokens without limits.
FULL = Reach()
