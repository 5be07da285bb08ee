"""Which sound a window brings: its microphone and loudspeaker, loaded only where and when they are needed."""

import ipaddress
from collections.abc import Callable

import structlog

from agents.media.base import MediaSession, StateCallback
from agents.media.host import SessionFactory
from agents.media.specs import default_specs, parse_sink, parse_source, preload
from agents.media.specs import open_session as make_session
from shared.config import Account

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

DEFAULT = "default"


def sound_loader(account: Account, microphone: str, loudspeaker: str) -> Callable[[], SessionFactory]:
    """Return what a media host loads on its own thread: a factory of sessions with these devices.

    Args:
        account: Says where the service is, and so on which addresses sound can reach it.
        microphone: ``device[:NAME]``, ``wav:FILE``, ``tone:HZ``, ``silence`` or ``default``.
        loudspeaker: ``device[:NAME]``, ``wav:FILE``, ``none`` or ``default``.

    Raises:
        ConfigError: If one of them is none of these.
    """
    for spec, parse in ((microphone, parse_source), (loudspeaker, parse_sink)):
        if spec != DEFAULT:
            parse(spec)
    addresses = _addresses(account)

    def load() -> SessionFactory:
        preload()  # aiortc: most of a window's memory and start-up
        source, sink = _devices(microphone, loudspeaker)

        def open_session(on_state: StateCallback) -> MediaSession:
            return make_session(
                source, sink, addresses=addresses, stun_servers=account.stun_servers, on_state=on_state
            )

        return open_session

    return load


def _devices(microphone: str, loudspeaker: str) -> tuple[str, str]:
    """Put the machine's devices, or silence and one notice, where the user said nothing."""
    if DEFAULT not in (microphone, loudspeaker):
        return microphone, loudspeaker
    defaults = default_specs()
    if defaults.notice:
        log.warning("sound.missing", notice=defaults.notice)
    return (
        defaults.source if microphone == DEFAULT else microphone,
        defaults.sink if loudspeaker == DEFAULT else loudspeaker,
    )


def _addresses(account: Account) -> tuple[str, ...] | None:
    """Keep sound on loopback if the service is there, so that it works on a machine without any network."""
    host = account.outbound_proxy.rpartition(":")[0].strip("[]")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return ("127.0.0.1",) if is_loopback else None
