"""[core] What a program may put into our messages: whom to call, and header fields of its own.

The serialiser refuses line breaks wherever they come from (:meth:`.message.Request.encode`). This is the edge
before it: it also refuses what would be well-formed and still say something that the caller must not say.
"""

import re
from collections.abc import Iterable

from shared.errors import SipError

from .address import Uri
from .grammar import TOKEN

#: Header fields that the stack writes; a second one would contradict it, or send the message elsewhere.
OWN_FIELDS = frozenset(
    {
        *("via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m", "max-forwards"),
        *("route", "record-route", "require", "proxy-require", "user-agent", "p-asserted-identity"),
        *("content-length", "l", "content-type", "c", "content-encoding", "e"),
        *("authorization", "proxy-authorization", "supported", "k", "allow"),
    }
)
_MOST_FIELDS, _LONGEST_VALUE, _LONGEST_TARGET = 16, 1_024, 256
#: Without angle brackets, a comma would begin a second identity, and a semicolon the field's parameters.
_SEVERAL = re.compile("[,;?]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def custom_fields(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return header fields that a program wants in an INVITE.

    Raises:
        SipError: If a name is no token or one of :data:`OWN_FIELDS`, a value has control characters or is
            longer than 1,024 characters, or there are more than 16.
    """
    checked = list(fields)
    if len(checked) > _MOST_FIELDS:
        raise SipError(f"at most {_MOST_FIELDS} header fields can be added")
    for name, value in checked:
        if not TOKEN.fullmatch(name):
            raise SipError("the name of a header field has characters that none can have")
        if name.lower() in OWN_FIELDS:
            raise SipError(f"{name} is written by the phone itself and cannot be added")
        if _CONTROL.search(value) or len(value) > _LONGEST_VALUE:
            raise SipError(f"the value of {name} has control characters, or more than {_LONGEST_VALUE}")
    return checked


def target_uri(target: str, domain: str) -> str:
    """Return the URI to call for a number, an extension or a ``sip:`` URI.

    Raises:
        SipError: If it names nobody, or has header fields or control characters in it.
    """
    if len(target) > _LONGEST_TARGET or _CONTROL.search(target):
        raise SipError("it has control characters or is too long")
    text = target if target.startswith("sip:") else f"sip:{target}@{domain}"
    uri = Uri.parse(text)
    if not target or uri.user is None:
        raise SipError("it names nobody")
    if uri.headers:
        raise SipError("header fields in a URI are not sent")
    return text


def identity(number: str, domain: str) -> tuple[str, str]:
    """Return the header field that asks the service to show ``number``; raises like :func:`target_uri`."""
    uri = target_uri(number, domain)
    if Uri.parse(uri).host.lower() != domain.lower() or _SEVERAL.search(uri):
        raise SipError("a caller id must be a number of the account")
    return ("P-Asserted-Identity", uri)
