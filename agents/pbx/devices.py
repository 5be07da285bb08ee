"""The devices that extensions have: the one of the account file, and all that were provisioned since.

They are kept in ``devices.json`` (mode 0600: it holds passwords), so that a phone that was provisioned once
can register at a service that started again in the same directory.
"""

import secrets
from dataclasses import replace
from pathlib import Path

import msgspec

from shared.errors import ConfigError
from shared.files import write_private
from shared.log import log

from .accounts import NumberPlan, Subscriber, new_identity

_MOST = 200  # of one extension; the oldest one makes room


class _Device(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    extension: str
    authorization_id: str
    password: str


class Devices:
    """Makes devices and finds them. ``plan`` knows them all, too, by what they register with."""

    def __init__(self, directory: Path, plan: NumberPlan) -> None:
        self._path, self._plan = directory / "devices.json", plan
        kept = {device.authorization_id: device for device in _read(self._path)}
        for subscriber in plan.subscribers.values():
            known = kept.pop(subscriber.authorization_id, None)
            plan.add_device(replace(subscriber, device_id=known.id if known else new_identity()))
        for device in kept.values():
            self._restore(device)

    def provision(self, extension: str) -> Subscriber:
        """Give an extension a new device, with credentials of its own.

        Raises:
            ConfigError: If the directory cannot be written.
        """
        base = self._plan.subscribers[extension]
        device = replace(
            base,
            authorization_id=new_identity(),
            password=secrets.token_urlsafe(12),
            device_id=new_identity(),
        )
        others = [
            other
            for other in self._plan.devices(extension)
            if other.authorization_id != base.authorization_id
        ]
        if len(others) >= _MOST:
            self._plan.remove_device(others[0])
        self._plan.add_device(device)
        self._write()
        return device

    def get(self, device_id: str) -> Subscriber | None:
        """Return a device by its id."""
        found = (device for device in self._all() if device.device_id == device_id)
        return next(found, None)

    def of(self, extension: str) -> list[Subscriber]:
        """Return the devices of an extension, oldest first."""
        return self._plan.devices(extension)

    def _all(self) -> list[Subscriber]:
        return [device for number in self._plan.subscribers for device in self._plan.devices(number)]

    def _restore(self, device: _Device) -> None:
        base = self._plan.subscribers.get(device.extension)
        if base is not None:  # else the extension was taken away since
            self._plan.add_device(
                replace(
                    base,
                    authorization_id=device.authorization_id,
                    password=device.password,
                    device_id=device.id,
                )
            )

    def _write(self) -> None:
        kept = [
            _Device(
                id=device.device_id,
                extension=device.extension.number,
                authorization_id=device.authorization_id,
                password=device.password,
            )
            for device in self._all()
        ]
        try:
            write_private(self._path, msgspec.json.encode(kept) + b"\n")
        except OSError as exc:
            raise ConfigError(f"cannot write {self._path}: {exc.strerror or exc}") from exc


def _read(path: Path) -> list[_Device]:
    """Return what an earlier run left; a damaged file is replaced, and those devices have to be made anew."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[_Device])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        log.warning("devices.unreadable", path=str(path), reason=str(exc))
        return []
