"""Which sound a window brings: its microphone and loudspeaker, loaded only where and when they are needed."""

import ipaddress
from collections.abc import Callable
from functools import partial

from agents.media.base import MediaSession, StateCallback
from agents.media.host import SessionFactory
from agents.media.specs import open_session, parse_sink, parse_source, preload
from shared.config import Account

_FILES = ("wav:", "loop:")


def sound_loader(account: Account, microphone: str, loudspeaker: str) -> Callable[[], SessionFactory]:
    """Return what a media host loads on its own thread: a factory of sessions with these devices.

    Args:
        account: Says where the service is, and so on which addresses sound can reach it.
        microphone: A source as in :mod:`agents.media.specs`.
        loudspeaker: A sink as in the same.

    Raises:
        ConfigError: If one of them is none of these.
        MediaError: If ``microphone`` is a file that cannot be played.
    """
    open_source = parse_source(microphone)
    parse_sink(loudspeaker)
    if microphone.startswith(_FILES):
        open_source().close()  # better now than when the first call is answered
    addresses = _addresses(account)

    def load() -> SessionFactory:
        preload()  # aiortc: most of a window's memory and start-up
        return partial(_open, microphone, loudspeaker, addresses, account.stun_servers)

    return load


def _open(
    microphone: str,
    loudspeaker: str,
    addresses: tuple[str, ...] | None,
    stun_servers: tuple[str, ...],
    on_state: StateCallback,
) -> MediaSession:
    return open_session(
        microphone, loudspeaker, addresses=addresses, stun_servers=stun_servers, on_state=on_state
    )


def _addresses(account: Account) -> tuple[str, ...] | None:
    """Keep sound on loopback if the service is there, so that it works on a machine without any network."""
    host = account.outbound_proxy.rpartition(":")[0].strip("[]")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return ("127.0.0.1",) if is_loopback else None
