"""The last act: a dummy calls out, the far end hangs up, everybody leaves, effects are counted."""

import asyncio
import signal
from collections.abc import AsyncIterator

from coordinator.verify import judge
from shared.clock import boottime
from shared.messages import Cause, Direction

from . import checks, hearing
from .report import ms, spread
from .scene import Scene
from .stage import EXTENSION, OURS, THEIRS

CALLEE = "199"


async def dial(scene: Scene) -> AsyncIterator[str]:
    """A dummy phone calls a robot, and both hear each other."""
    stage, since = scene.stage, boottime()
    window = scene.caller()
    done = await window.do(f"call {CALLEE}")
    scene.call_id = str(done["value"])
    if (
        shown := await stage.until(
            "every window shows the outbound call",
            lambda: checks.new_call(scene.views, Direction.OUTBOUND, since=since),
        )
    ) != scene.call_id:
        raise checks.NotObserved(f"windows show another outbound call: {shown}")
    answered = await stage.until(
        "the outbound call is answered in every window",
        lambda: checks.shown(scene.views, scene.call_id, checks.is_answered),
    )
    begun = await scene.entry("CALL_STARTED", after=since, number=CALLEE)
    accepted = await scene.entry("CALL_ANSWERED", after=since, call=begun.call)
    scene.robot = await stage.control.robot(str(accepted.leg))
    scene.host = window
    took = ms(begun.boottime - since)
    yield f"{window.view.name} (not the leader) dials {CALLEE}: INVITE at the service after {took}"
    took = ms(accepted.boottime - begun.boottime)
    lag = spread([at - accepted.boottime for at in answered.values()])
    yield f"the robot answers after {took}; every window shows it {lag} later"
    far, near = await asyncio.gather(
        hearing.heard_text(OURS, scene.far_recording), hearing.heard_part(THEIRS, window.recording, 0.0)
    )
    yield f"the robot hears {OURS.name}: {far}"
    # A robot that is called says it once.
    yield f"{window.view.name} hears {THEIRS.name}: {near.likeness} over {hearing.PART_SECONDS:g} s"


async def far_end(scene: Scene) -> AsyncIterator[str]:
    """The far end hangs up; every window sees it."""
    began = boottime()
    await scene.stage.control.hang_up(scene.robot.id)
    over = await scene.stage.until(
        "every window sees that the far end hung up",
        lambda: checks.shown(scene.views, scene.call_id, lambda call: call.cause is Cause.HUNG_UP_THERE),
    )
    ended = await scene.entry("CALL_ENDED", after=began)
    took = spread([at - ended.boottime for at in over.values()])
    yield f"the far end hangs up: every window shows it {took} after the service knew"


async def leave(scene: Scene) -> AsyncIterator[str]:
    """All windows leave, the leader last; it removes the binding. Then the service ends."""
    stage, began = scene.stage, boottime()
    followers = [window for window in stage.living if window is not scene.leader]
    statuses = await asyncio.gather(*(window.leave() for window in followers))
    statuses.append(await scene.leader.leave())
    if any(statuses):
        raise checks.NotObserved(f"windows ended with status {statuses}")
    removed = await scene.entry("BINDING_REMOVED", after=began, extension=EXTENSION)
    if bindings := await stage.control.bindings(EXTENSION):
        raise checks.NotObserved(f"the registrar still has {len(bindings)} bindings")
    yield (
        f"{len(statuses)} windows leave politely; the last one unregistered after "
        f"{ms(removed.boottime - began)}: no binding is left"
    )
    stage.service.kill(signal.SIGTERM)
    if status := await stage.service.ended():
        raise checks.NotObserved(f"the service ended with status {status}")
    for child in (stage.service, *(window.child for window in stage.windows)):
        if "Traceback" in child.errors:
            raise checks.NotObserved(f"{child.name} crashed inside: {child.errors.strip().splitlines()[-1]}")
    yield f"the service has ended, too, {ms(boottime() - began)} after the first of them was asked to"


async def ledger(scene: Scene) -> AsyncIterator[str]:
    """The service's ledger and the windows' traces say that all promises were kept."""
    scene.stage.look()
    counted = checks.effects(scene.stage.ledger.entries, EXTENSION)
    yield (
        f"{counted.rung} calls came in and {counted.dialled} went out, {counted.answered} were answered, "
        "each exactly once"
    )
    yield (
        f"{counted.registrations} REGISTER 200 by {counted.instance_ids} instance id; "
        f"never more than {counted.most_bindings} binding"
    )
    verdicts = await asyncio.to_thread(judge, scene.stage.directory)
    if broken := [line for verdict in verdicts if verdict.is_kept is False for line in verdict.lines()]:
        raise checks.NotObserved("; ".join(broken))
    kept = ", ".join(verdict.promise for verdict in verdicts if verdict.is_kept)
    yield f"the checker finds these promises kept, and none broken: {kept}"
