"""[core] What the REST API is asked with and answers, as far as we read it. Unknown fields are ignored."""

from typing import Any

import msgspec

from shared.errors import ActionRefused


class Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of the service's documents."""


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a login (RFC 6749 §5.1). Times are seconds from now."""

    access_token: str
    expires_in: float = 3600.0
    refresh_token: str | None = None


class Device(Document, frozen=True, kw_only=True):
    """A phone of an extension, as the service knows it."""

    id: str


class Provision(Document, frozen=True, kw_only=True):
    """The answer of ``sip-provision``. ``sip_info`` stays as it came: it becomes an account file."""

    device: Device | None = None
    sip_info: list[dict[str, Any]]


class PhoneNumber(Document, frozen=True, kw_only=True):
    """A number of an extension. One that it may call with has the feature ``CallerId``."""

    phone_number: str
    usage_type: str = ""
    features: tuple[str, ...] = ()


class PhoneNumbers(Document, frozen=True, kw_only=True):
    """A list of numbers."""

    records: list[PhoneNumber]


class SipData(Document, frozen=True, kw_only=True):
    """The tags of an end's SIP dialog: what a Replaces header needs to take that end's place."""

    to_tag: str = ""
    from_tag: str = ""


class Status(Document, frozen=True, kw_only=True):
    """What an end does, for example ``Proceeding``, ``Answered``, ``Hold`` or ``Disconnected``."""

    code: str = ""


class Party(Document, frozen=True, kw_only=True):
    """One end of a telephony session."""

    id: str
    status: Status = Status()
    direction: str = ""
    extension_id: str | None = None
    sip_data: SipData | None = None


class TelephonySession(Document, frozen=True, kw_only=True):
    """A call, or a conference: that has a ``voice_call_token``, which is what to dial to join it."""

    id: str
    parties: tuple[Party, ...] = ()
    voice_call_token: str = ""

    @property
    def session_id(self) -> str:
        """What phones are told in their messages, too."""
        return self.id

    def replaces(self, party_id: str) -> str:
        """Return the value of a Replaces header that moves a party of this session to whoever sends it.

        Raises:
            ActionRefused: If the session has no such party, or the service does not tell its dialog.
        """
        party = next((party for party in self.parties if party.id == party_id), None)
        if party is None or party.sip_data is None:
            raise ActionRefused("no_such_call", f"the session has no party {party_id!r} with a known dialog")
        tags = party.sip_data
        return f"{self.id};to-tag={tags.to_tag};from-tag={tags.from_tag};early-only"


class MadeSession(Document, frozen=True, kw_only=True):
    """The answer to what makes a session."""

    session: TelephonySession


class Failure(Document, frozen=True, kw_only=True):
    """An answer with an error; the login's has other names for it (RFC 6749 §5.2)."""

    error_code: str = ""
    message: str = ""
    error: str = msgspec.field(name="error", default="")
    error_description: str = msgspec.field(name="error_description", default="")

    @property
    def code(self) -> str:
        """What a program can match."""
        return self.error or self.error_code

    @property
    def text(self) -> str:
        """What a person can read."""
        return self.message or self.error_description
