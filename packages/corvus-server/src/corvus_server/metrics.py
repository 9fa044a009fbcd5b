"""What is counted: out of the event log, so that nothing else has to know that somebody counts.

`Metrics` listens to the log from its first moment and keeps totals (for Prometheus) and the hours of
the last day (for the charts).  What is true just now (the queue, who is connected) is asked for at
the time of the question.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from corvus_server.log import EventLog, LogEvent

#: Hours that the charts show.
HOURS: Final = 24
_HOUR: Final = 3600.0
#: Labels of one kind of count: a peer must not be able to make new ones without end.
_MOST: Final = 40

#: Kinds of counts: what each is called, and its label.
MESSAGES: Final = "messages"
DELIVERIES: Final = "deliveries"
SUBMISSIONS: Final = "submissions"
CONNECTIONS: Final = "connections"
SIGN_INS: Final = "sign_ins"
ERRORS: Final = "errors"


def kind_of(event: LogEvent) -> tuple[str, str] | None:
    """
    What an event counts as: the kind, and the value of its label.

    >>> kind_of(LogEvent(1, 0.0, "info", "smtp", "message", "smtp-1", {"decision": "junk"}))
    ('messages', 'junk')
    >>> kind_of(LogEvent(1, 0.0, "debug", "imap", "connected", "imap-1", {}))
    ('connections', 'imap')
    """
    if event.level == "error":
        return ERRORS, event.protocol
    if event.name == "message" and event.protocol == "smtp":
        return MESSAGES, str(event.fields.get("decision", "inbox"))
    if event.name == "message" and event.protocol == "submission":
        return SUBMISSIONS, "accepted"
    if event.protocol == "delivery" and event.name in ("delivered", "waiting", "failed", "held"):
        return DELIVERIES, "deferred" if event.name == "waiting" else event.name
    if event.name == "connected":
        return CONNECTIONS, event.protocol
    if event.name == "signed in":
        return SIGN_INS, "ok"
    if event.protocol == "auth" and event.name in ("refused", "locked"):
        return SIGN_INS, event.name
    return None


@final
class Metrics:
    """Totals since the start, and counts by hour."""

    def __init__(self, log: EventLog, now: Callable[[], float]) -> None:
        self._now = now
        self.totals: Counter[tuple[str, str]] = Counter()
        self._hours: deque[tuple[int, Counter[tuple[str, str]]]] = deque(maxlen=HOURS + 1)
        self._labels: Counter[str] = Counter()
        for event in list(log.recent):
            self.observe(event)
        self.stop = log.subscribe(self.observe)
        """Ends the counting."""

    def observe(self, event: LogEvent) -> None:
        """Count one event."""
        found = kind_of(event)
        if found is None:
            return
        if found not in self.totals:
            if self._labels[found[0]] >= _MOST:
                found = (found[0], "other")
            self._labels[found[0]] += 1
        self.totals[found] += 1
        hour = int(event.time // _HOUR)
        if not self._hours or self._hours[-1][0] < hour:
            self._hours.append((hour, Counter()))
        self._hours[-1][1][found] += 1

    def series(self, kind: str) -> dict[str, list[int]]:
        """The last `HOURS` hours of *kind*, oldest first, by label."""
        latest = int(self._now() // _HOUR)
        held = dict(self._hours)
        labels = [label for (each, label) in self.totals if each == kind]
        return {
            label: [
                held.get(latest - back, Counter())[kind, label] for back in range(HOURS - 1, -1, -1)
            ]
            for label in sorted(labels)
        }

    def total(self, kind: str) -> dict[str, int]:
        return {label: n for (each, label), n in sorted(self.totals.items()) if each == kind}


@final
class _Collector:
    """Makes families of Prometheus at the time of the question."""

    def __init__(
        self, metrics: Metrics, queue: Mapping[str, int], connected: Mapping[str, int],
        store: Mapping[str, int],
    ) -> None:  # fmt: skip
        self._metrics = metrics
        self._queue = queue
        self._connected = connected
        self._store = store

    def collect(self) -> Iterable[Metric]:
        counters = (
            (MESSAGES, "corvus_messages_in", "Mails from other servers", "decision"),
            (SUBMISSIONS, "corvus_messages_submitted", "Mails from our own users", "outcome"),
            (DELIVERIES, "corvus_deliveries", "Attempts to deliver, by recipient", "outcome"),
            (CONNECTIONS, "corvus_connections", "Connections accepted", "protocol"),
            (SIGN_INS, "corvus_sign_ins", "Sign-ins", "outcome"),
            (ERRORS, "corvus_errors", "Events of level error", "protocol"),
        )
        for kind, name, words, label in counters:
            family = CounterMetricFamily(name, words, labels=[label])
            for value, count in self._metrics.total(kind).items():
                family.add_metric([value], count)
            yield family
        gauges = (
            ("corvus_queue_recipients", "Recipients in the queue", "state", self._queue),
            ("corvus_connections_open", "Connections open now", "protocol", self._connected),
        )
        for name, words, label, held in gauges:
            gauge = GaugeMetricFamily(name, words, labels=[label])
            for value, count in held.items():
                gauge.add_metric([value], count)
            yield gauge
        for name, count in self._store.items():
            family = CounterMetricFamily(f"corvus_store_{name}", f"Store: {name}")
            family.add_metric([], count)
            yield family


def exposition(
    metrics: Metrics,
    *,
    queue: Mapping[str, int],
    connected: Mapping[str, int],
    store: Mapping[str, int],
) -> bytes:
    """The text of ``/metrics``, out of a registry of its own: nothing of the process leaks in."""
    registry = CollectorRegistry(auto_describe=False)
    collector: Any = _Collector(metrics, queue, connected, store)
    registry.register(collector)
    return generate_latest(registry)
