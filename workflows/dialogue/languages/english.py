from workflows.dialogue.languages.base import Language, phrases

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
)
