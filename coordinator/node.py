"""One process in a group: its window's agent, its candidacy, its media host, joined and taken apart again."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import zmq

from shared import ids
from shared.clock import wall
from shared.config import Account, Settings, load_settings, read_account
from shared.election import Holder
from shared.errors import CertificateUntrusted, RegistrationFailed, ServiceUnreachable, TooManyContacts
from shared.messages import Problem, Registration, RegistrationState, Window
from shared.phone import Phone
from shared.text import readable
from shared.trace import Trace

from .group import load_instance_id, open_group_dir
from .lease import FileLease
from .membership import Membership

if TYPE_CHECKING:
    from agents.media.host import MediaHost
    from agents.sip.trace import SipTrace

    from .sound import DeviceManager, WindowSound

#: Seconds between the samples of a trace.
_SAMPLE_EVERY = 1.0


#: How long loading its sound may keep a new leader from renewing its lease: Python imports one library at a
#: time, and nothing else runs meanwhile. Its death is noticed at once all the same.
_LOADING_TIME = 2.0


class Node:
    """A member of ``group``. ``async with`` joins and leaves; ``phone`` is what the program gets."""

    def __init__(
        self,
        group: str,
        account: Account,
        settings: Settings,
        *,
        name: str,
        candidate: bool,
        sound: "WindowSound | None",
        sip_trace: "SipTrace | None" = None,
    ) -> None:
        self._sip_trace = sip_trace
        self._group, self._account, self._settings = group, account, settings
        self._candidate, self._sound = candidate, sound
        self._window = Window(
            instance=ids.new_id(4),
            name=readable(name, 64) or f"window-{os.getpid()}",
            pid=os.getpid(),
            media=sound is not None,
            candidate=candidate,
        )
        self._host: MediaHost | None = None

    async def __aenter__(self) -> Self:
        directory = open_group_dir(self._settings, self._group)
        sip_instance_id = load_instance_id(self._settings, self._group)
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[None] = self._loop.create_future()
        lease = FileLease(directory, self._window.instance, is_candidate=self._candidate)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._trace = Trace(self._settings.trace_dir, self._window.instance)
        self._trace.write("JOINED", pid=os.getpid())
        self._sampling: asyncio.TimerHandle | None = None
        if self._trace.is_on:
            self._sample()
        if self._sound is not None:
            from agents.media.host import MediaHost

            beat_every = self._settings.presence_time / 4
            self._host = MediaHost(
                self._context, self._window.instance, self._sound.load, beat_every=beat_every
            )
        self._membership = Membership(
            self._context,
            self._window,
            lease,
            group=self._group,
            account=self._account,
            sip_instance_id=sip_instance_id,
            settings=self._settings,
            trace=self._trace,
            grace=self._grace,
            followed=self._followed,
            failed=self._failed,
            sound=self._sound,
            sip_trace=self._sip_trace,
        )
        self.phone = self._membership.phone
        if self._sound is not None:
            self._sound.start(self.phone)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        # The leader's farewell asks its own window's host to end its sound, so the host goes last.
        self._membership.close()
        self._failure.cancel()
        if self._sound is not None:
            self._sound.close()
        try:
            await self._membership.left()
        finally:
            if self._host is not None:
                await self._host.close()
            if self._sampling is not None:
                self._sampling.cancel()
            self._trace.close()
        # Only where all ended well: it waits for the last socket, for ever if need be.
        await asyncio.to_thread(self._context.term)

    async def settled(self) -> None:
        """Return when this window shows a registered phone.

        Raises:
            RegistrationFailed, TooManyContacts: The registrar refuses; the text names the remedy.
            ServiceUnreachable, CertificateUntrusted: The service cannot be reached.
            GroupError: The group's directory cannot be used.
        """
        shown = asyncio.ensure_future(self.phone.until(self._has_settled))
        try:
            await asyncio.wait({shown, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
        finally:
            shown.cancel()
        raise_for(self.phone.registration)

    def _has_settled(self) -> bool:
        registration = self.phone.registration
        return registration.state is RegistrationState.REGISTERED or registration.problem is not Problem.NONE

    def _sample(self) -> None:
        self._trace.resources(len(asyncio.all_tasks()))
        self._sampling = self._loop.call_later(_SAMPLE_EVERY, self._sample)

    def _followed(self, holder: Holder) -> None:
        if self._host is not None:
            self._host.follow(holder.epoch, holder.endpoints.actions)

    def _grace(self) -> float:
        return _LOADING_TIME if self._host is not None and not self._host.is_loaded else 0.0

    def _failed(self, exc: Exception) -> None:
        self._loop.call_soon_threadsafe(self._fail, exc)

    def _fail(self, exc: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(exc)


def raise_for(registration: Registration) -> None:
    """Raise the problem of a registration, if it has one."""
    detail = registration.detail.removeprefix(f"{registration.status} ")
    match registration.problem:
        case Problem.NONE:
            return
        case Problem.REFUSED if registration.status == 603:
            wait = max(registration.retry_at - wall(), 0.0) if registration.retry_at else None
            raise TooManyContacts(603, detail, retry_after=wait)
        case Problem.REFUSED:
            raise RegistrationFailed(registration.status, detail)
        case Problem.UNTRUSTED:
            raise CertificateUntrusted(detail)
        case Problem.UNREACHABLE:
            raise ServiceUnreachable(detail)


@asynccontextmanager
async def join(
    group: str,
    *,
    account: Account | Mapping[str, Any] | str | os.PathLike[str],
    name: str = "",
    candidate: bool | None = None,
    microphone: str | None = "default",
    loudspeaker: str = "default",
    ringer: str | None = None,
    devices: "DeviceManager | None" = None,
    settings: Settings | None = None,
    wait: bool = True,
    sip_trace: "SipTrace | None" = None,
) -> AsyncIterator[Phone]:
    """Join ``group`` for as long as the ``async with`` block lasts, and be one of its windows.

    Args:
        group: Processes of one user that join the same name share one registration.
        account: The account, the file to load it from, or what else :class:`WebPhone` takes.
        name: What other windows call this one; default: its process id.
        candidate: Whether this process may become the real phone; None: if it has sound. A group in which
            nobody may has no phone: whoever waits for one says so in the log.
        microphone: What is sent in calls taken here: ``device[:NAME]``, ``wav:FILE``, ``tone:HZ``,
            ``silence``, ``default`` (a device if there is one, else silence); None: no calls are taken here.
        loudspeaker: What plays them: ``device[:NAME]``, ``wav:FILE``, ``none`` or ``default``.
        ringer: What rings while an inbound call does, a name as for ``loudspeaker``; None: nothing does.
        devices: Chooses the three in their stead, each time that a call begins: see :class:`DeviceManager`.
        settings: Default: see :func:`shared.config.load_settings`.
        wait: Return only once the phone is registered. Without, look at ``phone.registration`` yourself.
        sip_trace: Keeps the latest SIP messages that this process exchanges with the service while it leads.

    Raises:
        AccountError, ConfigError, GroupError, MediaError: Something here must be put right; the text says
        what. RegistrationFailed, TooManyContacts: With ``wait``: the registrar refuses.
        ServiceUnreachable, CertificateUntrusted: With ``wait``: the service cannot be reached.
    """
    account = read_account(account)
    settings = settings or load_settings()
    sound = None
    if devices is not None or microphone is not None:
        from .sound import (
            DeviceManager,
            WindowSound,
        )  # not above: most of what a window without it need not load

        devices = devices or DeviceManager(microphone or "default", loudspeaker, ringer=ringer)
        sound = WindowSound(account, settings, devices)
    node = Node(
        group,
        account,
        settings,
        name=name,
        candidate=sound is not None if candidate is None else candidate,
        sound=sound,
        sip_trace=sip_trace,
    )
    async with node:
        if wait:
            await node.settled()
        yield node.phone
