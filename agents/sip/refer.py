"""[core] Transfers: what a REFER says, and what NOTIFYs report of it (RFC 3515, RFC 3891, RFC 5589)."""

import re
from urllib.parse import quote

from shared.errors import SipError

from .dialog import Dialog

_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]*))?")
_PLAIN_USER = re.compile(r"[0-9A-Za-z*#+_.-]{1,64}")


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


def parse_sipfrag(body: str) -> tuple[int, str] | None:
    """Return status and reason of a ``message/sipfrag`` body (RFC 3420), None if it has no status line."""
    match = _STATUS_LINE.match(body.lstrip())
    return (int(match[1]), match[2] or "") if match else None
