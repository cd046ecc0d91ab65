"""The series that processes count. docs/observe.md has the table; a test compares the two."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cache

from prometheus_client.core import Metric
from prometheus_client.mmap_dict import mmap_key
from prometheus_client.utils import INF, floatToGoString

from chatflow.workflows.metrics import sheets

# Seconds, from what an idle system takes up to the longest that anybody waits.
QUICK = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SLOW = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class Series:
    """Values of one name, told apart by their labels.

    Args:
        name: without ``chatflow_`` and its kind's ending.
        about: one sentence, for whoever reads the answer.
        labels: their names.
        known: the values of labels that are there from the beginning, with 0: what has never
            happened can't be told from what isn't counted otherwise.
    """

    kind: str
    # As Prometheus calls it, and what is put behind the name of a single value.
    type: str
    ending = ""

    def __init__(
        self,
        name: str,
        about: str,
        labels: Sequence[str] = (),
        known: Iterable[tuple[str, ...]] = (),
    ) -> None:
        self.name = f"chatflow_{name}"
        self.about = about
        self.labels = tuple(labels)
        self.known = tuple(known)
        # Putting a key together takes longer than to count.
        self.key = cache(self._make_key)

    def _make_key(self, ending: str, values: tuple[str, ...], *limit: str) -> str:
        names = [*self.labels, *(["le"] if limit else [])]
        return mmap_key(self.name, f"{self.name}{ending}", names, [*values, *limit], self.about)


class Counter(Series):
    """A number that grows."""

    kind = sheets.COUNTER
    type = "counter"
    ending = "_total"

    def add(self, amount: float, *labels: str) -> None:
        sheets.add(self.kind, [(self.key(self.ending, labels), amount)])


class Gauge(Series):
    """A number that each process has some of, as long as it lives."""

    kind = sheets.GAUGE
    type = "gauge"

    def add(self, amount: float, *labels: str) -> None:
        sheets.add(self.kind, [(self.key("", labels), amount)])


class Histogram(Series):
    """Durations, counted by how long they are.

    Args:
        name: see Series; so are about and labels.
        about: of it.
        limits: the longest duration of each class but the last, in seconds.
        labels: of it.
    """

    kind = sheets.HISTOGRAM
    type = "histogram"

    def __init__(
        self, name: str, about: str, limits: Sequence[float], labels: Sequence[str] = ()
    ) -> None:
        super().__init__(name, about, labels)
        self._limits = (*limits, INF)
        self._classes = [floatToGoString(limit) for limit in self._limits]
        # Quantiles are made of all classes, those too that have none.
        self._empty = cache(self._make_empty)

    def observe(self, seconds: float, *labels: str) -> None:
        # The clocks of two hosts may differ by a little.
        seconds = max(0.0, seconds)
        its_class = self._classes[bisect_left(self._limits, seconds)]
        sheets.add(
            self.kind,
            [(self.key("_sum", labels), seconds), (self.key("_bucket", labels, its_class), 1.0)],
            beside=self._empty(labels),
        )

    def _make_empty(self, labels: tuple[str, ...]) -> list[tuple[str, float]]:
        return [(self.key("_bucket", labels, each), 0.0) for each in self._classes]


# Jobs.
JOB_WAITING = Histogram(
    "job_waiting_seconds",
    "From a message to the start of its job, whatever it waited for.",
    SLOW,
    ["queue"],
)
JOB_PICKUP = Histogram(
    "job_pickup_seconds",
    "From the moment at which a job could be run to its start, by a worker that stood idle.",
    QUICK,
    ["queue"],
)
JOB_RUNNING = Histogram(
    "job_running_seconds",
    "How long attempts ran that ended their jobs.",
    SLOW,
    ["workflow", "state"],
)
JOBS_ENDED = Counter(
    "jobs_ended", "Jobs that ended, those that never began too.", ["workflow", "state"]
)
LEASE_LOSSES = Counter(
    "lease_losses",
    "Jobs and tasks that were taken from a worker that died, or whose lease ran out.",
    ["cause"],
    [("death",), ("expiry",)],
)

# Streams.
DELIVERY = Histogram(
    "event_delivery_seconds",
    "From an event's commit to the frame that was handed to the client's connection.",
    QUICK,
    ["dialect"],
)
STREAMS = Gauge("open_streams", "Open streams of this host's web processes.", known=[()])
DIALECT_STREAMS = Gauge("dialect_streams", "The same by their dialects.", ["dialect"])
STREAMS_OPENED = Counter("streams_opened", "Streams that were opened.", ["dialect"])

# Models.
AI_REQUEST = Histogram(
    "ai_request_seconds",
    "Requests to models, each try by itself, to the last word.",
    SLOW,
    ["model", "outcome"],
)
AI_FIRST_WORD = Histogram(
    "ai_first_word_seconds", "The same to the first word that is shown.", SLOW, ["model"]
)
AI_TOKENS = Counter("ai_tokens", "Tokens of answered requests.", ["model", "direction"])
AI_COST = Counter("ai_cost_usd", "Their price, where it is known.", ["model"])

ALL = [each for each in list(vars().values()) if isinstance(each, Series)]


def collect() -> Iterable[Metric]:
    """Return what this host's processes have counted; what never happened too, as far as known."""
    found = {metric.name: metric for metric in sheets.collect()}
    for each in ALL:
        metric = found.setdefault(each.name, Metric(each.name, each.about, each.type))
        there = {tuple(map(sample.labels.get, each.labels)) for sample in metric.samples}
        for values in each.known:
            if values not in there:
                labels = dict(zip(each.labels, values, strict=True))
                metric.add_sample(f"{each.name}{each.ending}", labels, 0.0)
    return found.values()
