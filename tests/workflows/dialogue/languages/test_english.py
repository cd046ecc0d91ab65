from chatflow.workflows.dialogue.languages.english import ENGLISH
from tests.workflows.dialogue.languages.contract import LanguageContract


class TestEnglish(LanguageContract):
    """See test_answers.py for all that is understood."""

    language = ENGLISH
    agrees = ["Yes, please.", "ok, go ahead", "Please do it", "that's right"]
    refuses = ["No, thank you.", "do not create it", "don\N{RIGHT SINGLE QUOTATION MARK}t"]
    unclear = ["yes and no", "not sure", "right?", "change the notebook quantity to 3", "please"]
    reasons = [
        ("yes because we moved", True, "we moved"),
        ("OK, since it is old", True, "it is old"),
        ("No. Reason: too expensive", False, "too expensive"),
        ("no: too expensive", False, "too expensive"),
        ("no, too expensive", False, "too expensive"),
        ("no - but next year", False, "but next year"),
    ]
    hedged = [
        "yes, but only the first",
        "yes because it is old, but wait",
        "yes because it is old unless it works",
        "ok since you insist, except the second",
        "ok: only the first",
        "yes because we can if he agrees",
        "yes since it is cheap, however",
        "yes because it is not mine",
        "yes because it is old?",
    ]
