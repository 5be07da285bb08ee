"""[core] What is wrong with a request, and the answer that says so (RFC 3261 §8.2, §21.4).

Two stages: :func:`refuse` answers a frame that is no message at all, as far as it can be answered;
:func:`objection` looks at one that is, before anybody spends a thought on what it wants.
"""

import re

from shared.errors import SipError

from .address import Uri
from .message import MAX_FRAME_CHARS, Headers, Request, Response
from .statuses import REASONS

_VERSION = re.compile(r"SIP\s*/\s*([0-9.]{1,9})\s*$", re.IGNORECASE)
#: What no answer may carry: it would be cut in two, or could not be sent.
_UNSENDABLE = re.compile(r"[\r\n\0\ud800-\udfff]")
_COPIED = {
    "via": "Via",
    "from": "From",
    "to": "To",
    "call-id": "Call-Id",
    "cseq": "CSeq",
    "v": "Via",
    "f": "From",
    "t": "To",
    "i": "Call-Id",
}
_LONGEST_HEAD, _LONGEST_VERSION = 16_384, 32
_SDP = frozenset({"application/sdp", "application/*", "*/*"})

Pairs = list[tuple[str, str]]


def refuse(frame: str, error: SipError) -> Response | None:
    """Return the answer to a frame that :func:`.message.parse` refused with ``error``.

    None if it deserves none: a response, an ACK, or something that does not even say where it comes from.
    Of a field that must stand there once, the first one is copied.
    """
    head = frame.lstrip("\r\n").partition("\r\n\r\n")[0][:_LONGEST_HEAD]
    first, _, rest = head.partition("\r\n")
    method = first.partition(" ")[0].upper()
    if method in ("", "ACK") or method.startswith("SIP/"):
        return None
    known = _readable(rest)
    if "Via" not in known or "CSeq" not in known:
        return None
    if len(frame) > MAX_FRAME_CHARS:
        return Response(513, REASONS[513], known)
    version = _VERSION.search(first[-_LONGEST_VERSION:])
    if version is not None and version[1] != "2.0":
        return Response(505, REASONS[505], known)
    return Response(400, f"{REASONS[400]}: {error.reason}", known)


def _readable(text: str) -> Headers:
    """Return the fields that an answer copies, as they came, each once; Via as often as it is there."""
    found = Headers()
    for line in re.sub(r"\r\n[ \t]+", " ", text).split("\r\n"):
        name, colon, value = line.partition(":")
        known = _COPIED.get(name.rstrip(" \t").lower()) if colon else None
        if known is not None and (known == "Via" or known not in found) and not _UNSENDABLE.search(line):
            found.add(known, value.strip())
    return found


def objection(request: Request) -> tuple[int, Pairs] | None:
    """Return status and header fields to refuse a request with, whatever it wants; None without cause.

    Raises:
        SipError: If its Request-URI cannot be read (400).
    """
    uri = Uri.parse(request.uri)
    if uri.scheme not in ("sip", "sips"):
        return 416, []
    if uri.headers:
        raise SipError("the Request-URI has header fields in it")
    if unsupported := request.headers.get_list("Require"):
        return 420, [("Unsupported", ", ".join(unsupported))]
    return _object_to_body(request) if request.method == "INVITE" else None


def _object_to_body(invite: Request) -> tuple[int, Pairs] | None:
    """A call is described by SDP in both directions, and by nothing else (§8.2.3, §21.4.7)."""
    accepted = [_type(value) for value in invite.headers.get_list("Accept")]
    if accepted and not _SDP.intersection(accepted):
        return 406, []
    if not invite.body:
        return None
    if _type(invite.headers.get("Content-Type") or "application/sdp") != "application/sdp":
        return 415, [("Accept", "application/sdp")]
    encoding = (invite.headers.get("Content-Encoding") or "identity").lower()
    return None if encoding == "identity" else (415, [("Accept-Encoding", "identity")])


def _type(value: str) -> str:
    return "".join(value.partition(";")[0].split()).lower()
