"""One process in a group: its window's agent, its candidacy, its media host, joined and taken apart again."""

import asyncio
import os
import secrets
from collections.abc import Callable
from functools import partial
from typing import Self

import zmq

from agents.dummy import DummyAgent
from agents.media.host import MediaHost, SessionFactory
from shared.config import Account, Settings
from shared.election import Holder
from shared.errors import CertificateUntrusted, RegistrationFailed, ServiceUnreachable, TooManyContacts
from shared.messages import Problem, Registration, RegistrationState, Window
from shared.phone import Phone
from shared.replica import Change

from .group import load_instance_id, open_group_dir
from .keeper import Candidacy, Keeper
from .lease import FileLease


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
        media: Callable[[], SessionFactory] | None,
    ) -> None:
        self._group, self._account, self._settings = group, account, settings
        self._candidate, self._load_media = candidate, media
        self._window = Window(
            instance=secrets.token_hex(4), name=name, pid=os.getpid(), media=media is not None
        )
        self._host: MediaHost | None = None

    async def __aenter__(self) -> Self:
        directory = open_group_dir(self._settings, self._group)
        sip_instance_id = load_instance_id(self._settings, self._group)
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[None] = self._loop.create_future()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._agent = DummyAgent(self._context, self._window, self._settings, self._changed)
        self.phone = Phone(self._agent)
        if self._load_media is not None:
            self._host = MediaHost(self._context, self._window.instance, self._load_media)
        candidacy = Candidacy(
            group=self._group,
            instance=self._window.instance,
            account=self._account,
            sip_instance_id=sip_instance_id,
            settings=self._settings,
            lease=FileLease(directory, self._window.instance),
            is_candidate=self._candidate,
            seed=lambda: self._agent.snapshot,
            follow=self._follow,
            failed=partial(self._loop.call_soon_threadsafe, self._fail),
        )
        self._keeper = Keeper(self._context, candidacy)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        # The leader's farewell asks its own window's host to end its sound, so the host goes last.
        self._agent.close()
        await self._keeper.close()
        if self._host is not None:
            await self._host.close()
        self._failure.cancel()
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

    def _changed(self, changes: list[Change]) -> None:
        self.phone.apply(changes)

    def _follow(self, holder: Holder) -> None:
        self._loop.call_soon_threadsafe(self._agent.follow, holder)
        if self._host is not None:
            self._host.follow(holder.epoch, holder.endpoints[1])

    def _fail(self, exc: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(exc)


def raise_for(registration: Registration) -> None:
    """Raise the problem of a registration, if it has one."""
    detail = registration.detail
    match registration.problem:
        case Problem.NONE:
            return
        case Problem.REFUSED if registration.status == 603:
            raise TooManyContacts(603, detail)
        case Problem.REFUSED:
            raise RegistrationFailed(registration.status, detail)
        case Problem.UNTRUSTED:
            raise CertificateUntrusted(detail)
        case Problem.UNREACHABLE:
            raise ServiceUnreachable(detail)
