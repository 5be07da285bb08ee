"""Accounts in the system's keyring, for whoever does not want them in a file: the optional extra ``keyring``.

Such an account is named ``keyring:NAME`` wherever an account file could be.
"""

import os
from types import ModuleType

from .errors import AccountError

_PREFIX = "keyring:"
_SERVICE = "sharedline"


def keyring_name(account: str | os.PathLike[str]) -> str | None:
    """Return NAME of ``keyring:NAME``; None for a file."""
    text = os.fspath(account)
    return text.removeprefix(_PREFIX) if text.startswith(_PREFIX) else None


def check_keyring(name: str) -> None:
    """Raise what :func:`save_to_keyring` would raise, if that can be known before.

    Raises:
        AccountError: If there is no keyring, the extra is not installed, or ``name`` is empty.
    """
    if not name:
        raise AccountError(f"{_PREFIX} names no account: write {_PREFIX}NAME")
    keyring = _keyring()
    try:
        keyring.get_password(_SERVICE, name)
    except keyring.errors.KeyringError as exc:
        raise _unusable(exc) from exc


def load_from_keyring(name: str) -> str:
    """Return what was saved under ``name``.

    Raises:
        AccountError: If there is no such entry, no keyring, or the extra is not installed.
    """
    keyring = _keyring()
    try:
        found = keyring.get_password(_SERVICE, name)
    except keyring.errors.KeyringError as exc:
        raise _unusable(exc) from exc
    if found is None:
        raise AccountError(f"the keyring has no account {name!r}: sharedline provision can save one")
    return str(found)


def save_to_keyring(name: str, text: str) -> None:
    """Save ``text`` under ``name``, in place of what was there.

    Raises:
        AccountError: If the keyring does not take it, there is none, or the extra is not installed.
    """
    keyring = _keyring()
    try:
        keyring.set_password(_SERVICE, name, text)
    except keyring.errors.KeyringError as exc:
        raise _unusable(exc) from exc


def _keyring() -> ModuleType:
    try:
        import keyring
        import keyring.errors
    except ImportError as exc:
        raise AccountError(
            "accounts in the system's keyring need the extra: pip install 'sharedline[keyring]'"
        ) from exc
    return keyring


def _unusable(error: Exception) -> AccountError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return AccountError(f"the system's keyring cannot be used ({reason}); use an account file instead")
