"""The workflow "create_invoice"."""

from examples.invoicing.amounts import format_money
from examples.invoicing.drafts import Draft
from examples.invoicing.invoices import Saved, save_invoice
from examples.invoicing.reading import understand
from examples.invoicing.resolving import resolve_customer, resolve_lines
from examples.invoicing.reviewing import review
from examples.invoicing.settling import next_moves
from workflows import Context, workflow

ANOTHER = {"type": "quick_reply", "label": "Create another", "message": "create invoice"}


@workflow(
    "create_invoice",
    title="Create an invoice",
    description="Makes an invoice for a customer from what you say, and asks for the rest.",
    triggers=["invoice", "bill"],
    # Reading, looking up the customer and the products, saving; changes may add more look-ups.
    steps=4,
    # With a model behind it, reading and looking up take a while: it is worth watching.
    hint="long",
)
def create_invoice(ctx: Context) -> object:
    """Make an invoice in a conversation. Nothing is written before the user's last yes."""
    request = ctx.step("Reading your request", understand, ctx)
    customer = resolve_customer(ctx, request)
    draft = Draft(customer=customer, lines=resolve_lines(ctx, request.items))
    if not review(ctx, draft):
        return ctx.reply("Nothing was created.", actions=[ANOTHER])
    saved = ctx.step("Saving the invoice", save_invoice, ctx.user.pk, draft, atomic=True)
    if saved.problem:
        return ctx.reply(f"{saved.problem} Nothing was created.", actions=[ANOTHER])
    return ctx.reply(_ready(draft, saved), actions=[*next_moves(saved.id), ANOTHER])


def _ready(draft: Draft, saved: Saved) -> str:
    name, total = draft.customer.name, format_money(draft.total)
    return f"Invoice {saved.number} for {name} over {total} is ready."
