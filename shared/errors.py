"""Every exception that this project raises on purpose, split by who must act.

* :exc:`SharedlineError`
    * :exc:`LocalError`: the caller broke a rule, or this machine lacks something; the text names the remedy
        * :exc:`AccountError`: the account file is unreadable or incomplete
        * :exc:`ConfigError`: an option or setting has a value that cannot be used
        * :exc:`GroupError`: the group's directory cannot be used, for example because it is another user's
        * :exc:`MediaError`: no sound device, an unreadable WAV file
    * :exc:`RemoteError`: a peer or the network did something wrong
        * :exc:`MessageError`: a frame of another process does not decode
        * :exc:`SipError`: a SIP message or a part of one cannot be read, or must not be written
        * :exc:`ServiceUnreachable`: no connection to the phone service
            * :exc:`CertificateUntrusted`: there is one, but nobody we trust vouches for it
        * :exc:`RestFailed`: the service's REST API said no
            * :exc:`LoginFailed`: it does not know the client or the user
        * :exc:`RegistrationFailed`: the registrar said no
            * :exc:`TooManyContacts`: five devices are registered already (603)
        * :exc:`CallFailed`: the far end answered with a final status >= 300
        * :exc:`CallLost`: the call could not go on, for example because its process died
    * :exc:`ActionRefused`: the leader said no, with a code that a program can match
    * :exc:`OutcomeUnknown`: no reply came, so the action may or may not have happened
"""

from typing import Literal

RefusalCode = Literal[
    "no_such_call",
    "wrong_state",
    "stale_epoch",
    "no_leader",
    "not_registered",
    "not_allowed",
    "no_media",
    "far_end",
    "bad_request",
    "deadline_passed",
    "too_busy",
    "unknown",
]
"""``unknown`` says that nobody can know whether it was done: it reaches programs as :exc:`OutcomeUnknown`."""


class SharedlineError(Exception):
    """Base class: ``except SharedlineError`` catches all of ours."""


class LocalError(SharedlineError):
    """The caller broke a rule, or this machine lacks something."""


class AccountError(LocalError):
    """The account file is unreadable or incomplete."""


class ConfigError(LocalError):
    """An option or setting has a value that cannot be used."""


class GroupError(LocalError):
    """The group's directory cannot be used."""


class MediaError(LocalError):
    """A sound device or file cannot be used."""


class RemoteError(SharedlineError):
    """A peer or the network did something wrong."""


class MessageError(RemoteError):
    """A frame from another process does not decode."""


class SipError(RemoteError):
    """A SIP message cannot be read, or must not be written (RFC 3261 §7)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ServiceUnreachable(RemoteError):
    """No connection to the phone service could be made or kept.

    ``retry_after`` is how long the service asks not to be tried again, in seconds; None if it said nothing.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CertificateUntrusted(ServiceUnreachable):
    """The phone service's certificate is not signed by an authority that we trust."""


class RestFailed(RemoteError):
    """The service's REST API answered with an HTTP ``status`` from 300 on.

    Below 500 nothing has happened; from 500 on it may have. ``code`` is what the service calls the error, ""
    if it has no name. ``retry_after``: how many seconds it wants to be left alone, if it said so.
    """

    def __init__(
        self, message: str, *, status: int, code: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.retry_after = status, code, retry_after


class LoginFailed(RestFailed):
    """The REST API does not accept the client id and secret, or the JWT; the text says which."""


class RegistrationFailed(RemoteError):
    """The registrar refused, with a SIP ``status`` (RFC 3261 §10.3)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status, self.reason = status, reason


class TooManyContacts(RegistrationFailed):
    """The extension's five devices are registered already (``603 Too Many Contacts``).

    The remedy is in the text: close one, or wait; the phone itself tries again after ``retry_after`` seconds,
    when the binding of a device that is gone will have run out.
    """

    def __init__(self, status: int, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(status, reason)
        self.retry_after = retry_after


class CallFailed(RemoteError):
    """The far end answered with a final ``status`` >= 300 (RFC 3261 §21); 0 if no answer came at all."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}" if status else reason)
        self.status, self.reason = status, reason


class CallLost(RemoteError):
    """The call could not go on because a process or a connection that it needs has died."""


class ActionRefused(SharedlineError):
    """The leader did not do the action. Nothing happened, so it is safe to ask again.

    ``status`` is the SIP status where the far end refused (``code == "far_end"``), else None.
    """

    def __init__(self, code: RefusalCode, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class OutcomeUnknown(SharedlineError):
    """No reply came in time, or the leader died first: look at the state before asking again."""


def refusal(code: RefusalCode, message: str, status: int | None = None) -> ActionRefused | OutcomeUnknown:
    """Return the error that a leader's refusal is for whoever asked."""
    return OutcomeUnknown(message) if code == "unknown" else ActionRefused(code, message, status)
