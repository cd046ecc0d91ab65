"""Whose a task is: that of the attempt which made it, or made the task that did."""

import asyncio

import pytest

from chatflow.workflows.running.attempt import Attempt
from chatflow.workflows.running.ownership import cancel_tasks, find_owner, make_task, owned_by
from tests.workflows.chat import NET, Chat, claimed

pytestmark = pytest.mark.django_db


@pytest.fixture
def attempt(chat: Chat) -> Attempt:
    chat.send()
    return Attempt(claimed())


def test_it_works(attempt: Attempt) -> None:
    async def grandchild() -> Attempt | None:
        return find_owner(asyncio.current_task())

    async def child() -> list[Attempt | None]:
        return [find_owner(asyncio.current_task()), await asyncio.create_task(grandchild())]

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(make_task)
        with owned_by(attempt):
            owned = asyncio.create_task(child())
        assert await owned == [attempt, attempt]
        assert find_owner(asyncio.current_task()) is None
        assert await asyncio.create_task(grandchild()) is None
        assert find_owner(None) is None

    asyncio.run(main())


def test_what_is_left_is_cancelled(attempt: Attempt) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(make_task)
        with owned_by(attempt):
            left = asyncio.create_task(asyncio.sleep(NET))
        other = asyncio.create_task(asyncio.sleep(0))
        await cancel_tasks(attempt)
        assert left.cancelled()
        await other

    asyncio.run(main())
