"""The second act: the leader is killed in the middle of a call, another window takes over, life goes on."""

import contextlib
import signal
from collections.abc import AsyncIterator

from shared.clock import boottime
from shared.errors import ActionRefused

from . import checks
from .report import ms, spread, version
from .scene import Scene
from .stage import EXTENSION


async def kill(scene: Scene) -> AsyncIterator[str]:
    """The leader is killed; every window follows another one."""
    now = await scene.stage.until("one window leads", lambda: checks.leader(scene.views, epoch=scene.epoch))
    scene.leader, scene.epoch = scene.stage.window_of(now), now.version.epoch
    victim, epoch = scene.leader, scene.epoch + 1
    scene.killed_at = boottime()
    victim.child.kill(signal.SIGKILL)
    status = await victim.child.ended()
    if status != -signal.SIGKILL:
        raise checks.NotObserved(f"{victim.view.name} ended by itself with status {status}")
    yield f"{victim.view.name} (pid {victim.child.pid}), the leader, is killed with SIGKILL"
    followed = await scene.stage.until(
        f"every window is on epoch {epoch}",
        lambda: checks.everywhere(scene.views, lambda view: view.since(epoch)),
    )
    for number, at in sorted(followed.items()):
        yield f"window {number} is on epoch {epoch} {ms(at - scene.killed_at)} after the kill"
    took = ms(max(followed.values()) - scene.killed_at)
    scene.report.figure("kill -> last window on the new epoch", took)


async def register(scene: Scene) -> AsyncIterator[str]:
    """The new leader registers as the same instance; still there is one binding."""
    stage, epoch = scene.stage, scene.epoch + 1
    before = await scene.entry("BINDING_ADDED", extension=EXTENSION)
    view = await stage.until("another window leads", lambda: checks.leader(scene.views, epoch=epoch))
    scene.leader, scene.epoch = stage.window_of(view), view.version.epoch
    registered = await scene.entry("REGISTER", after=scene.killed_at, extension=EXTENSION, status=200)
    instance = await scene.one_binding()
    if not instance == registered.instance_id == before.instance_id:
        raise checks.NotObserved(f"the binding is of instance {instance}, not of {before.instance_id}")
    took = ms(registered.boottime - scene.killed_at)
    scene.report.figure("kill -> REGISTER 200 at the service", took)
    yield (
        f"{view.name} leads now; REGISTER 200 at the service {took} after the kill: "
        f"still exactly one binding, the same instance {instance[:8]}"
    )
    at = await stage.until("all windows agree", lambda: checks.converged(scene.views, epoch=epoch))
    yield (
        f"{len(scene.views)} windows show the same state, version {version(view)}, "
        f"the last of them {ms(at - scene.killed_at)} after the kill"
    )


async def fate(scene: Scene) -> AsyncIterator[str]:
    """The call goes on, or is reported lost in every window in time."""
    stage, call_id, killed_at = scene.stage, scene.call_id, scene.killed_at
    outcome = await stage.until(
        "the call is kept, or lost in every window",
        lambda: checks.fate(scene.views, call_id, killed_at=killed_at, now=boottime()),
    )
    if outcome.kind == "lost":
        took = spread([at - killed_at for at in outcome.times.values()])
        scene.report.figure("the call when its leader died", f"lost, told everywhere after {took}")
        yield f"the call was lost with its leader: {len(outcome.times)} windows say so after {took}"
        with contextlib.suppress(ActionRefused):  # the service may have ended it already
            await stage.control.hang_up(scene.robot.id)
    else:
        heard = await scene.heard_since(killed_at)
        if any(view.calls[call_id].now.state.is_final for view in scene.views):
            raise checks.NotObserved("the call was lost after all")
        scene.report.figure("the call when its leader died", f"kept; far end: {heard} after the kill")
        yield f"the call was kept in {len(scene.views)} windows; the far end hears {heard} after the kill"
        began = boottime()
        await scene.leader.do(f"hangup {scene.short_id}")
        yield f"the new leader's window hangs it up: done after {ms(boottime() - began)}"
    robot = await stage.control.robot(scene.robot.id, until="ended")
    if robot.state != "ended":
        raise checks.NotObserved(f"the far end's leg is {robot.state}")
    yield f"the far end's leg is over: {robot.reason}"


async def next_call(scene: Scene) -> AsyncIterator[str]:
    """A new call rings in every window that is left, and is answered."""
    yield await scene.ring()
    # Each window has one recording, so a window that had no call yet is the better one to answer.
    fresh = [window for window in scene.stage.living if window not in (scene.host, scene.leader)]
    scene.host, scene.other = fresh[0], next(w for w in reversed(scene.stage.living) if w is not fresh[0])
    yield await scene.answer(scene.host)
    connected_at = await scene.sound_since(scene.robot)
    yield f"the far end hears {await scene.heard_since(connected_at)} after the sound was connected"


async def hang_up(scene: Scene) -> AsyncIterator[str]:
    """A window ends the call; the far end and every other window see it."""
    began = boottime()
    await scene.other.do(f"hangup {scene.short_id}")
    over = await scene.stage.until(
        "the call is over in every window", lambda: checks.shown(scene.views, scene.call_id, checks.is_over)
    )
    ended = await scene.entry("CALL_ENDED", after=began)
    robot = await scene.stage.control.robot(scene.robot.id, until="ended")
    if robot.state != "ended":
        raise checks.NotObserved(f"the far end is still {robot.state}")
    yield (
        f"{scene.other.view.name} hangs up: BYE at the service after {ms(ended.boottime - began)}, "
        f"over in every window after {spread([at - began for at in over.values()])}"
    )
