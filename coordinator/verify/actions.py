"""P2: an action has at most one effect; if acknowledged, it has it; else the caller is told "unknown".

Effects are counted in the ledger. A dialled number is told by the INVITE itself; other actions are tied to
the service's calls by the session id that it gave them. What does not leave the group (mute, tones) has no
effect that the ledger could tell.
"""

from dataclasses import dataclass, field

from .evidence import Effect, Evidence, Step
from .story import CallStory, by_session, of_call, tell
from .verdict import Breaches, Verdict, plural, undecided

#: Seconds that an answer may be ahead of its effect: both leave in one go, and are noted by two processes.
_SLACK = 0.5
#: What shows, in the lines of its call, that an action took effect.
_SIGNS = {
    "answer": ("CALL_ANSWERED",),
    "decline": ("CALL_ENDED", "CALL_DIVERTED"),
    "hangup": ("CALL_ENDED", "BYE", "CANCEL"),
    "hold": ("LEG_HELD",),
    "unhold": ("LEG_UNHELD",),
    "transfer": ("TRANSFERRED",),
    "complete_transfer": ("TRANSFERRED",),
}
_HOLDS = ("LEG_HELD", "LEG_UNHELD")
#: What happens once in a call for each action that asks for it, however often leaders die.
_ONCE = {
    "CALL_ANSWERED": ("answer",),
    "LEG_HELD": ("hold",),
    "LEG_UNHELD": ("unhold",),
    "TRANSFER_ACCEPTED": ("transfer", "complete_transfer"),
}


@dataclass(slots=True)
class _Case:
    """One action: what was asked, and what its caller was told."""

    asked: Step
    answers: list[Step] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        return self.answers[0].entry.outcome if self.answers else "none"

    @property
    def is_refused(self) -> bool:
        # The far end's refusal follows a message that did leave.
        return self.outcome == "refused" and self.answers[0].entry.code != "far_end"

    @property
    def until(self) -> float:
        """When the last effect of it may have come."""
        if self.outcome == "done":
            return self.answers[0].at + _SLACK
        return self.asked.at + self.asked.entry.wait + _SLACK


def judge(evidence: Evidence) -> Verdict:
    """Judge each action that a trace tells of."""
    cases = _read(evidence)
    if not cases:
        return undecided("P2", "no trace tells of an action")
    if not evidence.ledger:
        return undecided("P2", "without a ledger nobody knows what took effect")
    breaches = Breaches("P2")
    for case in cases.values():
        _check_answers(evidence, case, breaches)
    effects = _check_dials(evidence, list(cases.values()), breaches)
    effects += _check_calls(evidence, list(cases.values()), breaches)
    told = [case.outcome for case in cases.values()]
    unknown = sum(outcome not in ("done", "refused") for outcome in told)
    return breaches.verdict(
        f"{plural(len(cases), 'action')}: {told.count('done')} done, {told.count('refused')} refused, "
        f"{unknown} unknown; {plural(effects, 'effect')} at the service, none twice, none missing"
    )


def _read(evidence: Evidence) -> dict[str, _Case]:
    cases = {step.entry.action_id: _Case(step) for step in evidence.steps("ASKED")}
    for step in evidence.steps("ANSWERED"):
        if case := cases.get(step.entry.action_id):
            case.answers.append(step)
    return cases


def _check_answers(evidence: Evidence, case: _Case, breaches: Breaches) -> None:
    """Check that an action had exactly one answer, unless its process died first."""
    if len(case.answers) > 1:
        breaches.add("an action was answered twice", case.asked, *case.answers)
    instance, latest = case.asked.entry.instance, case.asked.at + case.asked.entry.wait + 1.0
    if not case.answers and evidence.is_living(instance, case.asked.at, latest):
        breaches.add("an action was never answered", case.asked)


# -- calls that windows made ---------------------------------------------------------------------------------


def _check_dials(evidence: Evidence, cases: list[_Case], breaches: Breaches) -> int:
    """Tie each INVITE to a dial of its own; return how many there were."""
    invites = _invites(evidence)
    free = sorted((case for case in cases if case.asked.entry.action == "dial"), key=lambda case: case.until)
    for number in {invite.entry.number for invite in invites} | {case.asked.entry.target for case in free}:
        wanted = [case for case in free if case.asked.entry.target == number and not case.is_refused]
        for invite in (invite for invite in invites if invite.entry.number == number):
            # An acknowledged one first: it must have its effect. Among them, the one whose time ends first.
            possible = [case for case in wanted if case.asked.at <= invite.at <= case.until]
            possible.sort(key=lambda case: (case.outcome != "done", case.until))
            if possible:
                wanted.remove(possible[0])
            elif _is_complete(evidence):
                dials = [case.asked for case in free if case.asked.entry.target == number]
                breaches.add(f"{number} was called once more than asked for", invite, *dials)
        for case in wanted:
            story = tell(evidence).get(case.answers[0].entry.call_id) if case.answers else None
            if case.outcome == "done" and not _is_told_lost(story):
                breaches.add("a dial was acknowledged, but no INVITE came", case.asked, *case.answers)
    return len(invites)


def _is_told_lost(story: CallStory | None) -> bool:
    """Return whether windows show a call as lost: what began it went into a connection that was broken."""
    return story is not None and any(view.cause == "lost" for _, view in story.views)


def _invites(evidence: Evidence) -> list[Effect]:
    """Return the first INVITE of each call that the group made: a challenge makes a second one of it."""
    first: dict[str | None, Effect] = {}
    for effect in evidence.effects("INVITE", direction="in", kind="initial"):
        if effect.entry.extension in evidence.extensions:
            first.setdefault(effect.entry.call_id, effect)
    return list(first.values())


def _is_complete(evidence: Evidence) -> bool:
    """Return whether every window has a trace, so that nobody else can have asked."""
    windows = {window for step in evidence.steps("SNAPSHOT") for window in step.entry.windows}
    return windows <= evidence.traces.keys() and not evidence.steps("FULL")


# -- calls that there were -----------------------------------------------------------------------------------


def _check_calls(evidence: Evidence, cases: list[_Case], breaches: Breaches) -> int:
    """Compare what was asked of each call with what happened to it; return how many effects that were."""
    stories, names, lines = tell(evidence), by_session(evidence), of_call(evidence)
    asked: dict[str, list[_Case]] = {}
    for case in cases:
        if case.asked.entry.call_id:
            asked.setdefault(case.asked.entry.call_id, []).append(case)
    effects = 0
    for call_id, story in stories.items():
        happened = [
            effect for effect in lines.get(names.get(story.session_id, ""), []) if _is_ours(evidence, effect)
        ]
        if happened:
            effects += _check_call(evidence, story, asked.get(call_id, []), happened, breaches)
    return effects


def _is_ours(evidence: Evidence, effect: Effect) -> bool:
    """Return whether a line is of the group's own leg, or of the call as a whole."""
    entry, extensions = effect.entry, evidence.extensions
    if entry.event == "CALL_ANSWERED":
        return (entry.leg or "").partition("-")[0] in extensions
    return entry.extension in extensions or entry.event in ("CALL_ENDED", "CALL_DIVERTED", "TRANSFERRED")


def _check_call(
    evidence: Evidence, story: CallStory, asked: list[_Case], happened: list[Effect], breaches: Breaches
) -> int:
    for case in asked:
        signs = _SIGNS.get(case.asked.entry.action)
        is_told = signs == _SIGNS["answer"] and _is_told_lost(story)
        # A hold that died half-way is undone by the successor; until then the far end is not as windows show.
        is_unsettled = case.asked.entry.action in ("hold", "unhold") and any(
            other.asked.entry.action in ("hold", "unhold") and other.outcome != "done" for other in asked
        )
        is_excused = is_told or is_unsettled
        if case.outcome == "done" and signs and not is_excused and not _has_sign(case, signs, happened):
            breaches.add(
                f"{case.asked.entry.action} was acknowledged without effect", case.asked, *case.answers
            )
    effects = 0
    over = next((effect.at for effect in happened if effect.entry.event == "CALL_ENDED"), float("inf"))
    for event, actions in _ONCE.items():
        found = [effect for effect in happened if effect.entry.event == event]
        effects += len(found)
        # One that was refused because the call ended meanwhile may have begun.
        able = [
            case
            for case in asked
            if case.asked.entry.action in actions and (not case.is_refused or over <= case.until)
        ]
        spare = _takeovers(happened) if event in _HOLDS else 0
        if len(found) > len(able) + spare and _is_complete(evidence):
            breaches.add(f"call {story.call_id}: {event} once more than asked for", *found)
    return effects


def _takeovers(happened: list[Effect]) -> int:
    """Return how often a successor went on with a call: it offers the sound that windows showed last."""
    flows = {effect.entry.flow for effect in happened if effect.entry.event == "LEG_CONTINUED"}
    return len(flows)


def _has_sign(case: _Case, signs: tuple[str, ...], happened: list[Effect]) -> bool:
    """Return whether the effect came before the answer, be it by this action or by an earlier one."""
    if signs[0] in _HOLDS:
        # What holds already need not be done again: what counts is the state at any moment from then on.
        states = [effect for effect in happened if effect.entry.event in _HOLDS and effect.at <= case.until]
        before = [effect for effect in states if effect.at < case.asked.at]
        is_so = before[-1].entry.event in signs if before else "LEG_UNHELD" in signs
        return is_so or any(effect.entry.event in signs for effect in states[len(before) :])
    return any(_is_sign(effect, signs) and effect.at <= case.until for effect in happened)


def _is_sign(effect: Effect, signs: tuple[str, ...]) -> bool:
    entry = effect.entry
    # A 200 that crosses the caller's CANCEL is an answer that came too late.
    is_answer = (entry.event, entry.direction, entry.method, entry.status) == (
        "RESPONSE",
        "in",
        "INVITE",
        200,
    )
    return entry.event in signs or (is_answer and signs == _SIGNS["answer"])
