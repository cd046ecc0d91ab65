"""What a process does before its first call of a model, so that no user waits for it."""

from chatflow.workflows.ai import names


def warm_up() -> None:
    """Import and prepare all that a chat with the configured models needs. It takes seconds.

    Nothing is sent to a provider, and no connection stays open: a process may fork afterwards.
    """
    from chatflow.workflows.ai.rehearsal import rehearse

    configured = dict.fromkeys([*names.to_try(), *names.allowed()])
    rehearse(*(name for name in configured if name != names.OFFLINE))
