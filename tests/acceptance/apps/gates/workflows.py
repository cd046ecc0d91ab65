"""Workflows that stop where a test wants them to."""

import asyncio
import time
from typing import Literal

from pydantic import BaseModel, Field

from chatflow.workflows import Context, workflow
from tests.acceptance.apps.gates import pass_gate


@workflow("gated", triggers=["gated"], steps=4)
def gated(ctx: Context) -> str:
    """Take four steps, each behind a gate of its own name: "gated KEY" has KEY-1 to KEY-4."""
    key = ctx.message.split()[-1]
    for number in range(1, 5):
        ctx.step(f"Step {number}", pass_gate, f"{key}-{number}")
        ctx.write(f"{number} ")
    return "All four."


@workflow("thinker", triggers=["thinker"])
def thinker(ctx: Context) -> str:
    """Ask the model, pass the gate "thinker KEY" names, ask it again; show all that it says."""
    first = ctx.ai("one", show=True)
    pass_gate(ctx.message.split()[-1])
    return f"{first} {ctx.ai('two', show=True)}"


@workflow("speaker", triggers=["speaker"])
def speaker(ctx: Context) -> str:
    """Say a word, pass the gate "speaker KEY" names, say the next."""
    key = ctx.message.split()[-1]
    ctx.write("before ")
    pass_gate(key)
    ctx.write("after")
    return "before after"


@workflow("greeter", triggers=["greeter"])
def greeter(ctx: Context) -> str:
    """Ask for a name."""
    return f"Hello {ctx.ask('What is your name?')}."


HOSTILE = """# Hello <b>you</b>

<script>attack()</script> <img src=x onerror=attack()> <iframe srcdoc="<script>attack()</script>">
[script](javascript:attack()) [page](//evil.example/) ![pixel](https://evil.example/p.png?secret)
![way in](/accounts/once/?key=theirs)
<svg onload=attack()> <a href="https://evil.example" style="position:fixed;inset:0">all</a>

| Name | Much |
| --- | ---: |
| [good](https://good.example/) | 1 |

```python
print("<script>attack()</script>")
```

- [x] done
"""


@workflow("hostile", triggers=["hostile"])
def hostile(ctx: Context) -> str:
    """Say, word by word, what a page must not do."""
    for line in HOSTILE.splitlines(keepends=True):
        ctx.write(line)
    return HOSTILE


@workflow("chatter", triggers=["chatter"])
def chatter(ctx: Context) -> str:
    """Report progress 200 times behind each of the gates KEY-1 to KEY-5, for "chatter KEY"."""
    key = ctx.message.split()[-1]
    for gate in range(1, 6):
        pass_gate(f"{key}-{gate}")
        for number in range(200):
            ctx.progress(gate, f"{gate}.{number}")
    return "All said."


class Order(BaseModel):
    name: str = Field(title="Your name", max_length=5)
    count: int = Field(2, title="How many", ge=1)
    size: Literal["small", "large"] = Field("large", title="Size")
    gift: bool = Field(False, title="It is a gift")


class Limit(BaseModel):
    amount: int = Field(title="Up to how many rows?", ge=1)


@workflow("moves", triggers=["show moves"])
def moves(ctx: Context) -> object:
    """Offer a next move of each kind, and cite two documents."""
    return ctx.reply(
        "What next?",
        actions=[
            {"type": "link", "label": "Open invoices", "url": "/invoices/"},
            {"type": "button", "label": "Do it", "workflow": "moved", "input": {"n": 7}},
            {"type": "form", "label": "Order", "workflow": "moved", "schema": Order},
            {
                "type": "confirm",
                "label": "Delete rows",
                "prompt": "Delete rows from the <b>table</b>?",
                "workflow": "risky",
            },
            {"type": "quick_reply", "label": "Once more", "message": "show moves"},
        ],
        sources=[
            {"title": "nginx", "url": "/x", "relevance": 91, "content_preview": "<b>Buffer</b>"},
            {"title": "Evil", "url": "javascript:alert(1)", "relevance": 12.4},
        ],
    )


@workflow("moved")
def moved(ctx: Context) -> str:
    return f"Moved with {dict(sorted(ctx.input.items()))}."


@workflow("risky")
def risky(ctx: Context) -> str:
    approval = ctx.approve(
        "Delete the rows?", answer=Limit, details={"Table": "orders", "Rows": 1200}
    )
    return f"{approval.approved} by {approval.by}: {approval.reason} {approval.answer!r}"


@workflow("careful", triggers=["careful"])
def careful(ctx: Context) -> str:
    """Ask for approval, without a form."""
    approval = ctx.approve("Delete the rows?")
    return f"{'Approved' if approval.approved else 'Rejected'} by {approval.by}."


@workflow("failing", triggers=["failing"])
def failing(ctx: Context) -> str:
    raise RuntimeError("as it was asked to")


@workflow("endless", triggers=["endless"], max_execution_time=1)
def endless(ctx: Context) -> str:
    """Wait at a gate that is never opened."""
    pass_gate("endless")
    return "never"


@workflow("murmur", triggers=["murmur"])
async def murmur(ctx: Context) -> str:
    """Say as many words as "murmur COUNT" wants, one each 50 ms, after a recorded step."""
    begun = await ctx.astep("Begin", asyncio.sleep, 0.05, "0 ")
    await ctx.awrite(begun)
    for number in range(1, int(ctx.message.split()[-1])):
        await asyncio.sleep(0.05)
        await ctx.awrite(f"{number} ")
    return "Enough."


@workflow("duet", triggers=["duet"])
async def duet(ctx: Context) -> str:
    """Ask the model twice; show what it says the second time."""
    await ctx.aai(f"first {ctx.message}")
    return await ctx.aai(f"second {ctx.message}", show=True)


@workflow("hasty", triggers=["hasty"], max_execution_time=2)
async def hasty(ctx: Context) -> str:
    """Ask the model, which takes longer than the workflow may."""
    return await ctx.aai(ctx.message, show=True)


@workflow("blocking", triggers=["blocking"])
async def blocking(ctx: Context) -> str:
    """Hold up the event loop, as no coroutine should."""
    time.sleep(600)
    return "never"
