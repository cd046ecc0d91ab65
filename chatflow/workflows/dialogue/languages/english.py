from chatflow.workflows.dialogue.languages.base import Language, phrases

ENGLISH = Language(
    code="en",
    cancel=phrases("cancel, abort, stop, quit, exit, never mind, nevermind"),
    skip=phrases("skip, skip it, skip this, none, no thanks, n/a, pass, leave it empty"),
    yes=phrases(
        "yes, y, yep, yeah, yup, ok, okay, sure, confirm, confirmed, correct, right, true",
        "absolutely, definitely, agreed, approve, approved",
    ),
    no=phrases("no, n, nope, nah, don't, dont, not, never, false, wrong, reject"),
    assent=phrases(
        "go ahead, do it, looks good, looks good to me, sounds good, that's fine, that is fine",
        "all good",
    ),
    polite=phrases(
        "please, thanks, thank, you, that's, thats, is, it, do, go, ahead, all, looks, good, fine",
        "create, the, and, i, sir, now, so, want, to, this, that, well, very, of, course",
    ),
    please=phrases("please"),
    because=phrases("because, since, reason:"),
    hedge=phrases("but, unless, except, only, if, however, not"),
    nth=phrases("option, number, no."),
    help=phrases("help, help me, help please, what can you do, what can i do here"),
    asking=phrases(
        "what, what's, who, who's, whom, whose, when, where, where's, why, how, how's, which",
        "can, could, do, does, did, is, are, was, were, will, would, should, may, has, have",
    ),
    opening=phrases(
        "please, can you, could you, would you, i want, i want to, i need, i need to, i'd like",
        "i'd like to, i would like, i would like to, let's, create, make, start, run, show, open",
        "begin, do, write",
    ),
    article=phrases("a, an, the, my, me, another, new"),
)
