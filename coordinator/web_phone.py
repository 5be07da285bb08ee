"""``WebPhone``: the verbs of a group's phone for a program that shares nothing."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from agents.web_phone import LonePhone
from shared.config import Account, Settings, load_settings, read_account
from shared.messages import Problem, RegistrationState

from .group import load_instance_id
from .node import raise_for
from .sound import DeviceManager, WindowSound


class WebPhone(LonePhone):
    """One phone in one process: the same verbs, calls and events as :func:`join` gives, and no group.

    Use it with ``async with``, or call :meth:`start` and :meth:`dispose`.

    Args:
        sip_info: The account: an :class:`Account`, a sipInfo object as a mapping or as JSON text, the whole
            answer of ``sip-provision``, or the path of a file that holds one of these.
        instance_id: Names this phone to the registrar (RFC 5626); the same one replaces its old binding, so
            a second phone of one account at the same time needs its own. Default: made once for the account
            on this host, and kept.
        auto_answer: Whether a call is answered by itself where the service asks for that.
        microphone, loudspeaker, ringer, devices, settings: As for :func:`join`.

    Raises:
        AccountError, ConfigError, GroupError, MediaError: Something here must be put right; the text says
            what.
    """

    def __init__(
        self,
        sip_info: Account | Mapping[str, Any] | str | Path,
        *,
        instance_id: str = "",
        auto_answer: bool = True,
        microphone: str | None = "default",
        loudspeaker: str = "default",
        ringer: str | None = None,
        devices: DeviceManager | None = None,
        settings: Settings | None = None,
    ) -> None:
        account = read_account(sip_info)
        settings = msgspec.structs.replace(settings or load_settings(), auto_answer=auto_answer)
        if devices is None and microphone is not None:
            devices = DeviceManager(microphone, loudspeaker, ringer=ringer)
        self._window_sound = None if devices is None else WindowSound(account, settings, devices)
        super().__init__(
            account,
            instance_id=instance_id or load_instance_id(settings, _file_name(account)),
            settings=settings,
            name=f"web-phone-{os.getpid()}",
            load_sound=self._window_sound.load if self._window_sound is not None else None,
            sound=self._window_sound,
        )

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.dispose()
            raise
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.dispose()

    async def start(self) -> None:
        """Connect; return once it is registered.

        After an error the phone goes on trying, unless it is disposed.

        Raises:
            RegistrationFailed, TooManyContacts: The registrar refuses; the text names the remedy.
            ServiceUnreachable, CertificateUntrusted: The service cannot be reached.
            AccountError: The account cannot be used.
            ActionRefused: It was started, or disposed, before; or it is disposed meanwhile.
        """
        await super().start()
        if self._window_sound is not None:
            self._window_sound.start(self)
        await self.until(self._has_settled)
        raise_for(self.registration)

    async def dispose(self) -> None:
        """Hang up, remove the registration at once, and end. Harmless to call again."""
        if self._window_sound is not None:
            self._window_sound.close()
        await super().dispose()

    def _has_settled(self) -> bool:
        registration = self.registration
        return registration.state is RegistrationState.REGISTERED or registration.problem is not Problem.NONE


def _file_name(account: Account) -> str:
    """Return what the account's instance id is kept under."""
    return "web-phone." + re.sub(r"[^A-Za-z0-9._-]", "_", account.authorization_id)[:64]
