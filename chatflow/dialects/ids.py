"""The names that other dialects give to a job, and to its question: all are made of its digits."""

from typing import Any

# Begins a job's public id, and the name of its question.
JOB, ASK = "workflow_", "ask_"


def hex_of(job_id: str) -> str:
    """Return the digits of a job's public id."""
    return job_id.removeprefix(JOB)


def answer_id(job_id: str) -> str:
    """Return the name of the message that is a job's answer."""
    return f"msg_{hex_of(job_id)}"


def question_id(job_id: str, awaiting: dict[str, Any]) -> str:
    """Return the name of a job's question; an approval is called by its own public id."""
    return str(awaiting.get("approval_id") or f"{ASK}{hex_of(job_id)}")
