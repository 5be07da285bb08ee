"""[core] Transfers: what a REFER says, and what NOTIFYs report of it (RFC 3515, RFC 3891, RFC 5589)."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from shared.errors import SipError
from shared.text import readable

from .address import NameAddr
from .dialog import Dialog
from .grammar import find_param, parse_number, parse_params
from .message import Request

_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]*))?")
_PLAIN_USER = re.compile(r"[0-9A-Za-z*#+_.-]{1,64}")
_MAX_TARGET_CHARS = 64


@dataclass(frozen=True, slots=True)
class Replaced:
    """A dialog as ``Replaces`` names it (RFC 3891 §6.1); ``to_tag`` is the local one of whoever reads it."""

    call_id: str
    to_tag: str
    from_tag: str


@dataclass(frozen=True, slots=True)
class ReferTo:
    """Whom a REFER wants called: the user part, unescaped, and the dialog to take the place of."""

    target: str
    replaced: Replaced | None = None

    @classmethod
    def parse(cls, value: str) -> "ReferTo":
        """Read a ``Refer-To``, with or without angle brackets.

        Raises:
            SipError: If it is no ``sip:`` URI with a user part, or its ``Replaces`` cannot be read.
        """
        uri = NameAddr.parse(value).uri
        target = _plain(uri.user or "")
        if not target or len(target) > _MAX_TARGET_CHARS:
            raise SipError("Refer-To names nobody who can be called")
        fields = [field.partition("=") for field in uri.headers.split("&") if field]
        given = [text for name, _, text in fields if unquote(name).lower() == "replaces"]
        if len(given) > 1:
            raise SipError("Refer-To has more than one Replaces")
        return cls(target, parse_replaces(_plain(given[0])) if given else None)


def parse_replaces(text: str) -> Replaced:
    """Read a ``Replaces`` value.

    Raises:
        SipError: If it names no dialog.
    """
    call_id, *params = (part.strip() for part in text.split(";"))
    tags = dict(param.split("=", 1) for param in params if "=" in param)
    if not (call_id and tags.get("to-tag") and tags.get("from-tag")):
        raise SipError("Replaces has no Call-ID or lacks one of its tags")
    return Replaced(call_id, tags["to-tag"], tags["from-tag"])


def _plain(escaped: str) -> str:
    """Undo percent escapes; what they hide must be printable."""
    text = unquote(escaped, errors="replace")
    if not text.isprintable():
        raise SipError("Refer-To hides characters that cannot be printed")
    return text


def refer_to(target: str, domain: str, replaced: Dialog | None = None) -> str:
    """Return a ``Refer-To`` value: call ``target``, or take the place of its dialog ``replaced`` with us.

    Raises:
        SipError: If ``target`` is no number or extension.
    """
    if not _PLAIN_USER.fullmatch(target):
        raise SipError(f"{target!r} is no number or extension")
    uri = f"sip:{target.replace('#', '%23')}@{domain}"
    if replaced is not None:
        # Tags as whoever reads it sees them: the far end's own one is its local tag (RFC 3891 §3).
        identity = f"{replaced.call_id};to-tag={replaced.remote_tag};from-tag={replaced.local_tag}"
        uri += f"?Replaces={quote(identity, safe='')}"
    return f"<{uri}>"


def is_about(notify: Request, number: int | None) -> bool:
    """Whether a NOTIFY is about our REFER that has this CSeq number (RFC 3515 §2.4.6).

    One that names no REFER is about whichever there is: services that keep to one a call do that.
    """
    package, semicolon, rest = (notify.headers.get("Event") or "refer").partition(";")
    if package.strip().lower() != "refer":
        return False
    try:
        named = find_param(parse_params(semicolon + rest), "id")
        return named is None or parse_number(named, "id") == number
    except SipError:
        return False


def parse_sipfrag(body: str) -> tuple[int, str] | None:
    """Return status and reason of a ``message/sipfrag`` body (RFC 3420), None if it has no status line."""
    match = _STATUS_LINE.match(body.lstrip())
    return (int(match[1]), readable(match[2] or "")) if match else None
