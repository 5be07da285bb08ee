"""[core] What RingCentral does differently from, and in addition to, RFC 3261.

* ``p-rc-api-ids`` names a call as the service's REST API does.
* ``P-rc`` in an INVITE, and ``MESSAGE`` requests of type ``x-rc/agent``, carry a small XML document:
  ``<Msg><Hdr SID Req From To Cmd/><Bdy …/></Msg>``. Messages belong to a call by SID, not by Call-Id.
* Digest is over ``sip:<domain>`` whatever the Request-URI, unless a challenge asks for a modern form.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from shared.errors import SipError
from shared.text import readable

from .digest import Challenge
from .message import Headers, Request

AGENT_CONTENT_TYPE = "x-rc/agent"
_MAX_XML_CHARS = 16_384
_MAX_FACTS = 16
_PARTY_ID = re.compile(r"party-id=(p-[0-9a-z\-]{1,128})", re.IGNORECASE)
_SESSION_ID = re.compile(r"session-id=(s-[0-9a-z\-]{1,128})", re.IGNORECASE)
_ELEMENT = re.compile(r"<(Hdr|Bdy)((?:\s++[A-Za-z]\w*+\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+'))*+)\s*+/?>")
_ATTRIBUTE = re.compile(r"([A-Za-z]\w*+)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')")
_REFERENCE = re.compile(r"&([A-Za-z#][A-Za-z0-9#]{0,9});|&")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_XML_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\0": ""}
_XML_SPECIAL = re.compile("[" + "".join(_XML_ESCAPES) + "]")


class Command(IntEnum):
    """``Cmd`` of an agent message: 1 to 9 come from the service, 10 to 17 from a phone."""

    CHANGE_MESSAGE = 1
    SERVER_FREE_RESOURCES = 2
    NEW_MESSAGE = 3
    RELOGIN = 4
    CHANGE_PHONES = 5
    INCOMING_CALL = 6
    ALREADY_PROCESSED = 7
    CLIENT_MINIMIZE = 8
    SESSION_CLOSE = 9
    CLIENT_FORWARD = 10
    CLIENT_VOICEMAIL = 11
    CLIENT_REJECT = 12
    CLIENT_START_REPLY = 13
    CLIENT_REPLY = 14
    CLIENT_NOT_PROCESSED = 15
    CLIENT_CLOSED = 16
    CLIENT_RECEIVE_CONFIRM = 17


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """An agent document. ``command`` is a plain number: the service may know more than :class:`Command`."""

    sid: str
    request_id: str
    sender: str
    recipient: str
    command: int
    body: Mapping[str, str] = field(default_factory=dict)

    @property
    def client(self) -> str | None:
        """Whom it is for (``Cln``, an authorization id); None if for everybody."""
        return self.body.get("Cln")

    @classmethod
    def parse(cls, text: str) -> "AgentMessage":
        """Read a document. It is read by hand, and one with a DTD, entity or comment is refused.

        Raises:
            SipError: If it is no agent document or an attribute of its header is missing.
        """
        if len(text) > _MAX_XML_CHARS or "<!" in text or "<?" in text.strip()[1:]:
            raise SipError("an agent message must not have a DTD, entities or comments")
        elements: dict[str, dict[str, str]] = {}
        for name, attributes in _ELEMENT.findall(text):
            elements.setdefault(
                name, {key: _unescape(one or other) for key, one, other in _ATTRIBUTE.findall(attributes)}
            )
        header = elements.get("Hdr")
        if "<Msg" not in text or not header or not header.get("Cmd", "").isascii():
            raise SipError("not an agent message")
        if not header.get("Cmd", "").isdecimal() or len(header["Cmd"]) > 4:
            raise SipError("an agent message has no command")
        return cls(
            sid=header.get("SID", ""),
            request_id=header.get("Req", ""),
            sender=header.get("From", ""),
            recipient=header.get("To", ""),
            command=int(header["Cmd"]),
            body=elements.get("Bdy", {}),
        )

    def encode(self) -> str:
        """Return the document on one line, as it fits into a header value and a body."""
        header = {
            "SID": self.sid,
            "Req": self.request_id,
            "From": self.sender,
            "To": self.recipient,
            "Cmd": str(self.command),
        }
        return f"<Msg>{_element('Hdr', header)}{_element('Bdy', self.body)}</Msg>"

    def reply(self, command: int, body: Mapping[str, str]) -> "AgentMessage":
        """Return our message about the same call: same SID and Req, From and To swapped."""
        return AgentMessage(self.sid, self.request_id, self.recipient, self.sender, command, body)


def _element(name: str, attributes: Mapping[str, str]) -> str:
    return f"<{name}" + "".join(f' {key}="{_escape(value)}"' for key, value in attributes.items()) + "/>"


def _unescape(value: str) -> str:
    """Return the text of an attribute: XML's own five entities and character numbers; there are no others."""
    return _REFERENCE.sub(_referred, value) if "&" in value else value


def _referred(match: re.Match[str]) -> str:
    name = match[1]
    if name is None:
        return "&"  # not XML, but what some caller is called
    if name in _ENTITIES:
        return _ENTITIES[name]
    digits, base = (name[2:], 16) if name[1:2] in ("x", "X") else (name[1:], 10)
    try:
        code = int(digits, base) if name[:1] == "#" and digits.isalnum() else 0
    except ValueError:
        code = 0
    # What XML calls a character (§2.2): no control but tab and line ends, no half of a surrogate pair.
    if code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000:
        return chr(code)
    raise SipError("an agent message must not have entities of its own")


def _escape(value: str) -> str:
    return _XML_SPECIAL.sub(lambda match: _XML_ESCAPES[match[0]], value)


def call_message(headers: Headers) -> AgentMessage | None:
    """Return the ``P-rc`` document of an INVITE; None if there is none that can be read."""
    text = headers.get("P-rc")
    try:
        return AgentMessage.parse(text) if text else None
    except SipError:
        return None  # the call itself is sound: only the service's extras are lost


def api_ids(headers: Headers) -> tuple[str | None, str | None]:
    """Return ``(party id, telephony session id)`` of ``p-rc-api-ids``, None where missing."""
    text = headers.get("p-rc-api-ids") or ""
    party, session = _PARTY_ID.search(text), _SESSION_ID.search(text)
    return (party[1] if party else None, session[1] if session else None)


def call_info(headers: Headers) -> dict[str, str]:
    """Return ``p-rc-api-call-info`` as a mapping of at most 16 names; values may contain ``=``."""
    pairs = (part.partition("=") for part in (headers.get("p-rc-api-call-info") or "").split(";"))
    named = [(readable(name.strip(), 64), readable(value)) for name, equals, value in pairs if equals]
    return dict(named[:_MAX_FACTS])


def is_dialect(challenge: Challenge) -> bool:
    """Whether a challenge is in RingCentral's form, which names neither algorithm nor qop."""
    return challenge.algorithm is None and not challenge.qop


def digest_uri(challenge: Challenge, request: Request, domain: str) -> str:
    """Return the uri to hash: ``sip:<domain>`` in RingCentral's form, else the Request-URI (§22.4)."""
    return f"sip:{domain}" if is_dialect(challenge) else request.uri
