"""Health, and the first run: what has to be true before mail arrives, turning green by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from starlette.requests import Request
from starlette.responses import Response

from corvus_server import checklist, probes
from corvus_server.checklist import DIFFERENT, GOOD, MISSING, UNKNOWN, Step
from corvus_server.network import SystemNetwork
from corvus_server.web import words
from corvus_server.web.admin.common import show
from corvus_server.web.live import event, stream
from corvus_server.web.page import NotHere, Visit
from corvus_server.web.services import Services

#: Seconds between two looks while somebody watches.
EVERY: Final = 10.0
#: Seconds between two tries of outbound port 25 that were not asked for.
PORT_EVERY: Final = 900.0
#: Seconds a page waits for DNS before it is shown without.
PATIENCE: Final = 2.5
#: Results older than this are asked anew when the page is opened.
STALE: Final = 30.0
#: Where the store keeps what was skipped.
SKIPPED: Final = "checklist.skipped"

#: How a state looks: tone, word.
LOOKS: Final = {
    GOOD: ("good", "published"),
    MISSING: ("bad", "not yet"),
    DIFFERENT: ("warn", "different"),
    UNKNOWN: ("none", "no answer"),
}
#: The same for what is no DNS record.
WORDS: Final = {GOOD: "in order", MISSING: "not yet", DIFFERENT: "look at it", UNKNOWN: "not known"}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One step as the page shows it."""

    step: Step
    tone: str
    word: str
    checked: float
    skipped: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The cards of the server, or of one domain."""

    title: str
    words: str
    cards: Sequence[Card]

    @property
    def tone(self) -> str:
        left = [card for card in self.cards if not card.skipped and not card.step.optional]
        if all(card.step.state == GOOD for card in left):
            return "good"
        return "bad" if any(card.step.state == MISSING for card in left) else "warn"

    @property
    def done(self) -> int:
        return sum(card.step.state == GOOD for card in self.cards)


@final
class Checker:
    """Looks, and remembers what it saw; one for the whole server."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.resolver = probes.fresh(services.resolver, services.config)
        self.steps: list[Step] = []
        self.checked: dict[str, float] = {}
        self.at = 0.0
        self._port: Step | None = None
        self._port_at = 0.0
        self._task: asyncio.Task[bool] | None = None

    def start(self, *, port: bool = False) -> asyncio.Task[bool]:
        """Look now, or go on with the look that is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._safely(port))
        return self._task

    async def settle(self, *, port: bool = False) -> None:
        """Look, and wait a little for it."""
        await asyncio.wait({self.start(port=port)}, timeout=PATIENCE + (6.0 if port else 0.0))

    async def _safely(self, port: bool) -> bool:
        try:
            return await self._look(port)
        except Exception as error:  # nobody waits for this task: the log has to tell
            self._services.log("error", "web", "check failed", error=repr(error)[:300])
            return False

    @property
    def stale(self) -> bool:
        """Whether it is time for a watcher to look again; of many watchers one looks."""
        return not self.steps or self._services.now() - self.at >= EVERY - 1

    async def _look(self, port: bool) -> bool:
        """Look at everything; whether something is different from before."""
        services = self._services
        config, store, now = services.config, services.store, services.now()
        domains = [domain.name for domain in store.directory.domains()]
        keys = await services.operations.dkim_list()
        steps = [_named(config.hostname, domains)]
        steps += await checklist.examine(config, domains, keys, self.resolver)
        steps.append(probes.certificate(config, now))
        steps.append(probes.clock(now))
        due = self._port is None or self._port.state != GOOD or now - self._port_at > PORT_EVERY
        if port or (due and now - self._port_at > 60):
            self._port_at = now
            self._port = await probes.outbound(
                config, self._network(), self.resolver, _correspondents(store)
            )
        if self._port is not None:
            steps.append(self._port)
        changed = [(s.key, s.state, s.finding) for s in steps] != [
            (s.key, s.state, s.finding) for s in self.steps
        ]
        self.steps, self.at = steps, now
        self.checked = {step.key: now for step in steps}
        if self._port is not None:
            self.checked[self._port.key] = self._port_at
        return changed

    def _network(self) -> Any:
        return self._services.network or SystemNetwork()


def _named(hostname: str, domains: Sequence[str]) -> Step:
    step = Step(
        key="name", topic="A name and a domain", state=GOOD, finding="",
        purpose="The server greets others by its name; its domains are those whose mail it takes.",
    )  # fmt: skip
    if "." not in hostname:
        words_ = f"COR_HOSTNAME is {hostname}, which nobody else can find; set it to a full name."
        return replace(step, state=DIFFERENT, finding=words_)
    if not domains:
        return replace(step, state=MISSING, finding="There is no domain yet; add one.")
    return replace(step, finding=f"{hostname} takes mail for {', '.join(domains[:4])}.")


def _correspondents(store: Any) -> list[str]:
    """Domains that have written to us and were let in: their servers are worth greeting."""
    own = {domain.name for domain in store.directory.domains()}
    found = [v.mail_from.rpartition("@")[2].lower() for v in store.verdicts.recent(50)]
    return [d for d in dict.fromkeys(found) if d and d not in own and "." in d][:2]


def checker_of(request: Request) -> Checker:
    """The one checker of the application."""
    state = request.app.state
    if not hasattr(state, "checker"):
        state.checker = Checker(state.site.services)
    checker: Checker = state.checker
    return checker


def stages(visit: Visit, checker: Checker) -> list[Stage]:
    """All cards in order: the server first, then each domain."""
    skipped = set(visit.store.settings.get(SKIPPED, []))
    groups: dict[str, list[Card]] = {}
    for step in checker.steps:
        tone, word = LOOKS[step.state]
        if step.optional and step.state in (MISSING, DIFFERENT):
            tone = "none" if step.state == MISSING else "warn"
        card = Card(
            step=step,
            tone=tone,
            word=word if step.name else WORDS[step.state],
            checked=checker.checked.get(step.key, checker.at),
            skipped=step.key in skipped,
        )
        groups.setdefault(step.domain, []).append(card)
    titles = {"": (visit.services.config.hostname, "The server itself")}
    return [
        Stage(title=titles.get(name, (name, ""))[0], words=titles.get(name, ("", "Its records in DNS"))[1], cards=cards)
        for name, cards in groups.items()
    ]  # fmt: skip


def answer_of(found: Sequence[Stage]) -> tuple[str, str]:
    """The first line of the page, and its tone."""
    cards = [card for stage in found for card in stage.cards if not card.skipped]
    needed = [card for card in cards if not card.step.optional]
    left = [card for card in needed if card.step.state != GOOD]
    if not cards:
        return "DNS is being asked; this page renews itself.", "none"
    if not left:
        extra = sum(card.step.state != GOOD for card in cards)
        more = f" {words.plural(extra, 'thing')} would make it more comfortable." if extra else ""
        return f"Mail can come and go: everything that has to be in order is.{more}", "good"
    first = left[0].step
    subject = f"{first.topic} of {first.domain}" if first.domain else first.topic
    verb = "is" if len(left) == 1 else "are"
    tone = "bad" if any(card.step.state == MISSING for card in left) else "warn"
    return (
        f"{len(needed) - len(left)} of {words.plural(len(needed), 'thing')} {verb} in order;"
        f" next: {subject}.".replace(f"things {verb}", "things are"),
        tone,
    )


async def health(visit: Visit) -> Response:
    """``/admin/health``."""
    checker = checker_of(visit.request)
    if not checker.steps or visit.services.now() - checker.at > STALE:
        await checker.settle()
    found = stages(visit, checker)
    answer, tone = answer_of(found)
    counts = visit.store.queue.counts()
    waiting = sum(n for state, n in counts.items() if state.value in ("waiting", "leased", "held"))
    return await show(
        visit,
        "checks.html",
        stages=found,
        anchor=anchor,
        answer=answer,
        tone=tone,
        all_good=tone == "good",
        waiting=waiting,
        fingerprint=visit.services.fingerprint(),
        addresses=visit.services.addresses(),
    )


async def check(visit: Visit) -> Response:
    """Look now; outbound port 25 as well."""
    await checker_of(visit.request).settle(port=True)
    return visit.redirect("/admin/health" + _fragment(visit.text("key")))


async def skip(visit: Visit) -> Response:
    """Leave a step out of the count, or take it back in."""
    key = visit.text("key")[:300]
    if key not in {step.key for step in checker_of(visit.request).steps}:
        raise NotHere
    held = [each for each in visit.store.settings.get(SKIPPED, []) if each != key]
    if visit.text("skip") == "yes":
        held.append(key)
    await visit.store.settings.set(SKIPPED, held or None)
    return visit.redirect("/admin/health" + _fragment(key))


def _fragment(key: str) -> str:
    return f"#{anchor(key)}" if key else ""


def anchor(key: str) -> str:
    """The id of a card: what an address may hold behind its ``#``."""
    return "card-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in key)[:200]


async def zone(visit: Visit) -> Response:
    """``/admin/health/zone``: the records of all domains, or of one, as a zone file."""
    domains = [domain.name for domain in visit.store.directory.domains()]
    wanted = visit.query("domain")
    if wanted:
        if wanted not in domains:
            raise NotHere
        domains = [wanted]
    text = checklist.zone_file(
        visit.services.config, domains, await visit.services.operations.dkim_list()
    )
    name = wanted or visit.services.config.hostname
    return Response(
        text,
        media_type="text/plain; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.zone"'},
    )


async def live(visit: Visit) -> Response:
    """``/admin/health/live``: looks again and again while somebody watches."""
    checker = checker_of(visit.request)

    async def source() -> AsyncIterator[bytes]:
        seen = checker.steps
        while True:
            if checker.stale:
                await asyncio.wait({checker.start()})
            if checker.steps != seen:
                seen = checker.steps
                yield event("change", {})
            yield b""  # whether the visitor still may
            await asyncio.sleep(EVERY)

    return stream(visit, source, admin=True)
