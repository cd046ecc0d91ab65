"""What every type of action must do. A type's own tests inherit it, and show one that is valid."""

import json
from typing import Any, ClassVar, get_args

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import workflow
from chatflow.workflows.dialogue import actions
from chatflow.workflows.dialogue.actions import Offer, Offered, Turn
from chatflow.workflows.exceptions import InvalidAction, InvalidForm
from chatflow.workflows.models import Job
from chatflow.workflows.services.offers import act
from tests.workflows.chat import Chat, run_waiting

SECRET = "for the server alone"
# What the server adds for clients.
ADDED = {"id", "expires_at"}


class ActionContract:
    type: ClassVar[type[Offer]]
    # Such an action as an author writes it; a workflow "pay" is there. SECRET is in what clients
    # aren't told.
    action: ClassVar[dict[str, Any]]
    # What clients are told of it, besides its id and type.
    public: ClassVar[dict[str, Any]]
    # What it begins; None where the client does it all.
    turn: ClassVar[Turn | None]
    # What the client has to send along, and what it must not.
    data: ClassVar[dict[str, Any] | None] = None
    wrong_data: ClassVar[list[Any]] = [{"invoice": 8}]
    # Fields that make the action invalid.
    wrong: ClassVar[list[dict[str, Any]]]

    @pytest.fixture(autouse=True)
    def pay(self) -> None:
        workflow("pay")(lambda ctx: f"Paid {ctx.input}.")

    def offered(self, **fields: Any) -> Offered:
        (offered,) = actions.offer([{**self.action, **fields}])
        return offered

    def restored(self, **fields: Any) -> Offer:
        return actions.restore(self.offered(**fields).full)

    def test_clients_are_told_what_is_theirs(self) -> None:
        offered = self.offered(expires_in=60)
        told = {key: value for key, value in offered.public.items() if key not in ADDED}
        assert told == {"type": self.action["type"], **self.public}
        assert not offered.public.keys() & self.type.private
        assert SECRET not in json.dumps(offered.public)
        assert offered.full.items() >= offered.public.items()

    def test_it_comes_back_from_the_database(self) -> None:
        full = self.offered(expires_in=60).full
        restored = actions.restore(json.loads(json.dumps(full)))
        assert type(restored) is self.type
        assert restored.model_dump(by_alias=True, exclude_none=True) == {
            key: value for key, value in full.items() if key not in ADDED
        }

    def test_it_is_registered_under_a_name_of_its_own(self) -> None:
        names = [get_args(each.model_fields["type"].annotation) for each in actions.TYPES]
        assert self.type in actions.TYPES
        assert names.count((self.action["type"],)) == 1

    def test_it_begins_what_it_says(self) -> None:
        if self.turn is None:
            with pytest.raises(InvalidForm):
                self.restored().turn(self.data)
        else:
            assert self.restored().turn(self.data) == self.turn

    def test_data_that_it_does_not_take(self) -> None:
        for data in self.wrong_data:
            with pytest.raises(InvalidForm):
                self.restored().turn(data)

    def test_wrong_fields(self) -> None:
        everybody: list[dict[str, Any]] = [
            {"label": ""},
            {"label": " "},
            {"label": 5},
            {"label": "x" * 201},
            {"expires_in": 0},
            {"expires_in": 1e300},
            {"lable": "x"},
            {"id": "action_mine"},
        ]
        for fields in everybody + self.wrong:
            with pytest.raises(InvalidAction):
                self.offered(**fields)

    @pytest.mark.django_db
    @pytest.mark.usefixtures("unkept")
    def test_using_it(self, chat: Chat, alice: User) -> None:
        offering = chat.begin(lambda ctx: ctx.reply("Done", actions=[self.action]))
        (offered,) = offering.actions
        if self.turn is None:
            with pytest.raises(InvalidForm):
                act(alice, "s", offered["id"], data=self.data)
            return
        job = act(alice, "s", offered["id"], data=self.data).job
        run_waiting()
        job = Job.objects.get(pk=job.pk)
        assert (job.text, job.input) == (self.turn.message, self.turn.input)
        assert job.explicit == (self.turn.workflow is not None)
        assert job.workflow == self.turn.workflow or not job.explicit
