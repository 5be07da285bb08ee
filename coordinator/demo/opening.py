"""The first act: a service, three windows, a call with sound in both directions, a hold, a latecomer."""

import asyncio
from collections.abc import AsyncIterator

from shared.clock import boottime

from . import checks, hearing
from .report import ms, version
from .scene import Scene
from .stage import EXTENSION, OURS, THEIRS

_HELD_SECONDS = 1.5  # no pause in the speech is nearly as long
#: What a recording may lag behind the windows: packets under way and the buffer that waits for late ones.
_LAG_SECONDS = 0.4


async def service(scene: Scene) -> AsyncIterator[str]:
    """A simulated phone service starts."""
    began = boottime()
    line = await scene.stage.start_service()
    yield (
        f"simulated phone service up on port {line['wss']} (pid {scene.stage.service.pid}) "
        f"after {ms(boottime() - began)}"
    )


async def join(scene: Scene) -> AsyncIterator[str]:
    """Three windows join; one of them leads, and registers."""
    stage = scene.stage
    await asyncio.gather(*(stage.add_window() for _ in range(3)))
    for window in stage.windows:
        joined = next(line for line in window.child.lines if line["event"] == "joined")
        took = ms(joined["at"] - window.started_at)
        yield f"{window.view.name} (pid {window.child.pid}) joined {took} after its start"
    view = await stage.until("one window leads", lambda: checks.leader(scene.views, epoch=1))
    scene.leader = stage.window_of(view)
    scene.epoch = view.version.epoch
    scene.host, scene.other = (window for window in stage.windows if window is not scene.leader)
    registered = await scene.entry("REGISTER", extension=EXTENSION, status=200)
    instance = await scene.one_binding()
    took = ms(registered.boottime - view.epochs[scene.epoch])
    yield (
        f"{view.name} leads (epoch {scene.epoch}); REGISTER 200 at the service {took} later: "
        f"exactly one binding, instance {instance[:8]}"
    )
    await stage.until(
        "every window can host sound", lambda: all(len(view.sound) == 3 for view in scene.views) or None
    )
    at = await stage.until("all windows agree", lambda: checks.converged(scene.views, epoch=scene.epoch))
    yield f"3 windows show the same state, version {version(view)}, {ms(boottime() - at)} old"


async def ring(scene: Scene) -> AsyncIterator[str]:
    """A robot calls."""
    yield await scene.ring()


async def answer(scene: Scene) -> AsyncIterator[str]:
    """A window that does not lead answers."""
    yield await scene.answer(scene.host)


async def speech(scene: Scene) -> AsyncIterator[str]:
    """Speech arrives at both ends."""
    far, near = await asyncio.gather(
        hearing.heard_text(OURS, scene.far_recording),
        hearing.heard_text(THEIRS, scene.host.recording),
    )
    scene.report.figure("speech at the far end", str(far))
    scene.report.figure("speech at our window", str(near))
    yield f"the far end hears {OURS.name}: {far}"
    yield f"{scene.host.view.name} hears {THEIRS.name}: {near}"


async def hold(scene: Scene) -> AsyncIterator[str]:
    """A window that has nothing to do with the call's sound holds it; the far end hears music."""
    began = boottime()
    done = await scene.other.do(f"hold {scene.short_id}")
    held = await scene.stage.until(
        "every window shows the call held",
        lambda: checks.shown(scene.views, scene.call_id, lambda call: call.held),
    )
    await scene.entry("LEG_HELD", after=began)
    pressed_at = done["at"] - done["took_ms"] / 1000
    yield (
        f"{scene.other.view.name} holds: far end agreed and every window shows it after "
        f"{ms(max(held.values()) - pressed_at)}"
    )
    begin = max(held.values()) - await scene.sound_since(scene.robot) + _LAG_SECONDS
    recording = await hearing.recorded(scene.far_recording, begin + _HELD_SECONDS)
    if not hearing.is_music(hearing.between(recording, begin, begin + _HELD_SECONDS)):
        raise checks.NotObserved("the far end hears something else than music while it is held")
    if not (await scene.stage.control.robot(scene.robot.id)).held:
        raise checks.NotObserved("the far end does not know that it is held")
    yield f"the far end's recording has hold music, and nothing else, for {_HELD_SECONDS:g} s"


async def unhold(scene: Scene) -> AsyncIterator[str]:
    """The same window takes it off hold; the far end hears speech again."""
    done = await scene.other.do(f"unhold {scene.short_id}")
    pressed_at = done["at"] - done["took_ms"] / 1000
    shown = await scene.stage.until(
        "no window shows the call held",
        lambda: checks.shown(scene.views, scene.call_id, lambda call: not call.held, after=pressed_at),
    )
    took = ms(max(shown.values()) - pressed_at)
    yield f"{scene.other.view.name} unholds: every window shows it after {took}"
    yield f"the far end hears it again: {await scene.heard_since(max(shown.values()))} after that"


async def latecomer(scene: Scene) -> AsyncIterator[str]:
    """A fourth process joins in the middle of the call."""
    window = await scene.stage.add_window()
    joined = next(line for line in window.child.lines if line["event"] == "joined")
    seen = await scene.stage.until(
        "the latecomer shows the call",
        lambda: checks.shown([window.view], scene.call_id, checks.is_answered),
    )
    took = ms(seen[window.view.number] - joined["at"])
    scene.report.figure("joined -> call visible in the latecomer", took)
    yield f"{window.view.name} (pid {window.child.pid}) joins late and shows the call {took} after joining"
    await scene.stage.until(
        "every window knows the latecomer and its sound",
        lambda: all(window.view.instance in view.sound for view in scene.views) or None,
    )
    await scene.stage.until("all windows agree", lambda: checks.converged(scene.views, epoch=scene.epoch))
    yield f"{len(scene.views)} windows show the same state"
