"""P5: answered calls survive the death of any one process; a lost one is reported lost everywhere in time."""

from .evidence import Effect, Evidence, Fact
from .story import CallStory, by_session, earliest, of_call, tell
from .verdict import Breaches, Verdict, plural, undecided

#: Seconds until every window shows what became of a call.
WITHIN = 2.0
#: How long before a loss the process with the sound must have been there to blame the others: what passes for
#: dead is silent for so long (the setting ``presence_time``, and a beat more).
_PRESENCE = 3.0


def judge(evidence: Evidence) -> Verdict:
    """Judge each call that windows showed, against the ledger and the deaths."""
    stories = tell(evidence)
    if not stories:
        return undecided("P5", "no trace tells of a call")
    breaches = Breaches("P5")
    names, lines = by_session(evidence), of_call(evidence)
    lost = 0
    for story in stories.values():
        effects = lines.get(names.get(story.session_id, ""), [])
        lost += story.lost() is not None
        _check_loss(evidence, story, effects, breaches)
        _check_end(evidence, story, effects, breaches)
        _check_host(evidence, story, breaches)
    adrift = _check_adrift(evidence, stories, breaches)
    answered = sum(any(view.is_answered for _, view in story.views) for story in stories.values())
    return breaches.verdict(
        f"{plural(len(stories), 'call')}, {answered} answered, {lost} lost with the process of its sound; "
        f"{plural(adrift, 'time')} without a leader: each continued, or shown as over, within {WITHIN:g} s"
    )


def _check_loss(evidence: Evidence, story: CallStory, effects: list[Effect], breaches: Breaches) -> None:
    """Check that a lost call was lost with its sound, and that every window came to know."""
    if (loss := story.lost()) is None:
        return
    step, view = loss
    ended = earliest(effects, "CALL_ENDED")
    was_over = ended is not None and ended.at <= step.at
    # A hang-up that died half-way leaves a call that is lost, as it was wanted to be.
    was_over |= any(
        asked.entry.call_id == story.call_id and asked.entry.action == "hangup" and asked.at <= step.at
        for asked in evidence.steps("ASKED")
    )
    # So does one that the far end hung up, if whoever heard it died before telling.
    was_over |= any(
        effect.entry.event == "BYE" and effect.entry.direction == "out" and effect.at <= step.at
        for effect in effects
    )
    if (
        not was_over
        and _deaths(evidence, step.at) <= 1
        and evidence.is_living(view.media_host, step.at - _PRESENCE, step.at)
    ):
        breaches.add(f"call {story.call_id} was lost although the process with its sound lived", step)
    _check_everywhere(evidence, story, step, breaches)


def _check_end(evidence: Evidence, story: CallStory, effects: list[Effect], breaches: Breaches) -> None:
    """Check that what is over for the service is over at every window."""
    if (ended := earliest(effects, "CALL_ENDED")) is not None and _is_led(evidence, ended.at):
        _check_everywhere(evidence, story, ended, breaches)


def _check_host(evidence: Evidence, story: CallStory, breaches: Breaches) -> None:
    """Check that a call ends, or goes on at another window, when the process with its sound is killed."""
    hosts = {view.media_host for _, view in story.views if view.is_answered and view.media_host}
    for step in evidence.trouble:
        if step.entry.event != "KILLED" or step.entry.pid not in {evidence.pid_of(host) for host in hosts}:
            continue
        newest = max(
            (item for item in story.views if item[0].at <= step.at), key=lambda item: item[0].at, default=None
        )
        if newest is None or evidence.pid_of(newest[1].media_host) != step.entry.pid:
            continue
        if not _has_moved(story, newest[1].media_host, step.at):
            _check_everywhere(evidence, story, step, breaches)


def _has_moved(story: CallStory, host: str, since: float) -> bool:
    """Return whether a call was shown at another window than ``host`` in time."""
    return any(
        since <= step.at <= since + WITHIN and view.is_answered and view.media_host not in ("", host)
        for step, view in story.views
    )


def _check_everywhere(evidence: Evidence, story: CallStory, why: Fact, breaches: Breaches) -> None:
    for window, sight in story.sights.items():
        is_late = sight.over is None or sight.over.at > why.at + WITHIN
        if (
            is_late
            and sight.first.at <= why.at
            and _deaths(evidence, why.at) <= 1
            and evidence.is_living(window, why.at, why.at + WITHIN)
        ):
            last = [sight.over] if sight.over is not None else []
            breaches.add(f"window {window} went on to show call {story.call_id}", why, sight.first, *last)


def _check_adrift(evidence: Evidence, stories: dict[str, CallStory], breaches: Breaches) -> int:
    """Check that each call whose flow closed went on, or was over at the service or at the windows."""
    names, lines = by_session(evidence), of_call(evidence)
    story_of = {names.get(story.session_id): story for story in stories.values()}
    adrift = [
        effect for effect in evidence.effects("LEG_ADRIFT") if effect.entry.extension in evidence.extensions
    ]
    for effect in adrift:
        after = [other for other in lines.get(effect.entry.call or "", []) if other.at >= effect.at]
        settled = earliest(after, "LEG_CONTINUED", "CALL_ENDED")
        story = story_of.get(effect.entry.call)
        is_shown_over = story is not None and any(
            sight.over is not None and sight.over.at <= effect.at + WITHIN for sight in story.sights.values()
        )
        is_settled = settled is not None and settled.at <= effect.at + WITHIN
        is_kept = is_settled or is_shown_over or _is_back(evidence, effect)
        if not is_kept and _deaths(evidence, effect.at) <= 1 and _is_led(evidence, effect.at):
            breaches.add(f"call {effect.entry.call} was left alone for more than {WITHIN:g} s", effect)
    return len({effect.entry.flow for effect in adrift})


def _is_back(evidence: Evidence, adrift: Effect) -> bool:
    """Return whether the process of a closed flow registered again: it still has all its dialogs."""
    registers = evidence.effects("REGISTER", status=200)
    owners = {register.entry.flow: register.entry.via_host for register in registers}
    owner = owners.get(adrift.entry.flow)
    return any(
        adrift.at <= register.at <= adrift.at + WITHIN and register.entry.via_host == owner
        for register in registers
    )


def _deaths(evidence: Evidence, at: float) -> int:
    """Return how many processes died or stood still around that time: of two at once nothing is promised."""
    near = [step.entry for step in evidence.trouble if at - _PRESENCE <= step.at <= at + WITHIN]
    return len({line.pid for line in near if line.event in ("KILLED", "STOPPED", "CONTINUED")})


def _is_led(evidence: Evidence, at: float) -> bool:
    """Return whether a process lived that could take care: it knew the state."""
    return any(
        evidence.is_living(instance, at, at + WITHIN)
        and any(step.entry.event == "SNAPSHOT" and step.at <= at for step in steps)
        for instance, steps in evidence.traces.items()
    )
