"""Look at a group from outside: who leads, and the state that the leader publishes."""

import asyncio
import sys

import zmq

from agents.bus import Subscriber
from coordinator.group import open_group_dir
from coordinator.lease import FileLease, Vacant
from shared.config import Settings
from shared.messages import Snapshot, decode_snapshot, encode

from .console import describe

#: A leader repeats its state ten times a second; one that is silent for so long is stopped or gone.
_PATIENCE = 2.0


async def show_status(group: str, settings: Settings, *, as_json: bool) -> int:
    """Print the state of ``group``; return 1 if there is no leader or it says nothing."""
    holder = FileLease(open_group_dir(settings, group), "status").look()
    if isinstance(holder, Vacant):
        sys.stderr.write(
            f"nobody leads the group {group!r} here; start one: sharedline join {group} --account FILE\n"
        )
        return 1
    snapshot = await _listen(holder.endpoints.state)
    if snapshot is None:
        sys.stderr.write(
            f"the leader of {group!r} (pid {holder.pid}) says nothing: it is stopped, or ending\n"
        )
        return 1
    sys.stdout.write((encode(snapshot).decode() if as_json else "\n".join(describe(snapshot))) + "\n")
    return 0


async def _listen(endpoint: str) -> Snapshot | None:
    arrived: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()

    def first(snapshot: Snapshot) -> None:
        if not arrived.done():
            arrived.set_result(snapshot)

    with zmq.Context() as context:
        subscriber = Subscriber(context, endpoint, decode_snapshot, first)
        try:
            return await asyncio.wait_for(arrived, _PATIENCE)
        except TimeoutError:
            return None
        finally:
            subscriber.close()
