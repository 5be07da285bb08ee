"""Calls as windows showed them, tied to what the service's ledger says of the same calls."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.messages import CallState
from shared.trace import SeenCall

from .evidence import Effect, Evidence, Step

_FINAL = {str(state) for state in CallState if state.is_final}


@dataclass(slots=True)
class Sight:
    """One call at one window: when it was first shown, and when as over (or not at all any more)."""

    first: Step
    over: Step | None = None


@dataclass(slots=True)
class CallStory:
    """One call. ``views`` are its different states, each with the first line that shows it."""

    call_id: str
    views: list[tuple[Step, SeenCall]] = field(default_factory=list)
    sights: dict[str, Sight] = field(default_factory=dict)  # by window

    @property
    def session_id(self) -> str:
        """The service's own name of the call, "" if it never told."""
        return next((view.session_id for _, view in self.views if view.session_id), "")

    def lost(self) -> tuple[Step, SeenCall] | None:
        """Return the first sight of an answered call as lost, or None."""
        lost = (item for item in self.views if item[1].cause == "lost" and item[1].is_answered)
        return min(lost, key=lambda item: item[0].at, default=None)


def tell(evidence: Evidence) -> dict[str, CallStory]:
    """Return the stories of all calls that windows showed, by the id that windows use."""
    stories: dict[str, CallStory] = {}
    for steps in evidence.traces.values():
        live: set[str] = set()
        known: dict[str, SeenCall] = {}
        for step in steps:
            if step.entry.event == "SNAPSHOT":
                live = _add(stories, step, live, known)
    return stories


def _add(stories: dict[str, CallStory], step: Step, live: set[str], known: dict[str, SeenCall]) -> set[str]:
    """Take one state of one window; return the calls that it shows as live."""
    window = step.entry.instance
    now_live = set()
    for view in step.entry.calls:
        if view.state not in _FINAL:
            now_live.add(view.call_id)
        if known.get(view.call_id) == view:
            continue
        known[view.call_id] = view
        story = stories.setdefault(view.call_id, CallStory(view.call_id))
        story.views.append((step, view))
        story.sights.setdefault(window, Sight(step))
        if view.state in _FINAL and story.sights[window].over is None:
            story.sights[window].over = step
    for call_id in live - now_live:
        sight = stories[call_id].sights[window]
        sight.over = sight.over or step
    return now_live


def by_session(evidence: Evidence) -> dict[str, str]:
    """Return the ledger's names of calls by the session ids that phones were told."""
    started = evidence.effects("CALL_STARTED")
    return {
        effect.entry.session_id: effect.entry.call
        for effect in started
        if effect.entry.session_id and effect.entry.call
    }


def of_call(evidence: Evidence) -> dict[str, list[Effect]]:
    """Return the ledger's lines of each call, by the ledger's name of it."""
    lines: dict[str, list[Effect]] = {}
    for effect in evidence.ledger:
        if effect.entry.call:
            lines.setdefault(effect.entry.call, []).append(effect)
    return lines


def earliest(effects: Iterable[Effect], *events: str) -> Effect | None:
    """Return the first of these events, or None."""
    return next((effect for effect in effects if effect.entry.event in events), None)
