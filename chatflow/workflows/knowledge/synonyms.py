"""Words that ask for the same thing: who asks often says it in another word than who wrote it down.

A synonym counts less than the word itself. The groups are those of everyday computing, in English;
they are stemmed like everything else.
"""

GROUPS = """
    abort cancel stop terminate interrupt
    account user
    argument parameter option
    authenticate authentication login credential token signin
    backup dump
    begin start launch
    cause reason why
    certificate ssl tls https
    change modify edit alter
    check verify validate ensure
    choose select pick choice
    computer machine host
    config configuration configure setting
    crash die death kill
    cron schedule timer nightly
    db database
    delete remove erase prune purge
    duplicate twice idempotency once
    email mail
    error failure fail exception
    fast quick speed performance
    fix solve troubleshoot trouble
    folder directory
    history past previous old
    info information details
    install setup
    interface ui frontend
    js javascript
    limit maximum bound most
    log journal
    memory ram
    metrics monitoring watch
    multiple several more
    outage down unavailable
    parallel concurrent simultaneous
    permission right access
    poll polling
    postgres postgresql
    production deploy server
    repeat again rerun retry
    restart reload
    resume continue
    rotate change new
    slow lag delay
    stuck hang block
    sse eventsource stream
    timeout deadline aborted
    background async asynchronous
    update upgrade
    weight priority
"""


def _pairs() -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for line in GROUPS.split("\n"):
        group = line.split()
        for word in group:
            found.setdefault(word, set()).update(group)
    return {word: tuple(sorted(group - {word})) for word, group in found.items()}


SYNONYMS = _pairs()
