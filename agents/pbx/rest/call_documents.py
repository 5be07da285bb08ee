"""[core] The JSON documents of call control: telephony sessions, their parties, and what is asked of them."""

from typing import Annotated, Literal

import msgspec

from .documents import Document, Text


class Place(Document, frozen=True, kw_only=True):
    """One end, as others see it."""

    phone_number: str | None = None
    extension_number: str | None = None
    name: str | None = None
    device_id: str | None = None


class Status(Document, frozen=True, kw_only=True):
    """What an end does: ``Setup``, ``Proceeding``, ``Answered``, ``Hold`` or ``Parked``."""

    code: str


class SipData(Document, frozen=True, kw_only=True):
    """The tags of an end's dialog, of its INVITE's To and From: for a Replaces header."""

    to_tag: str
    from_tag: str


class PartyDocument(Document, frozen=True, kw_only=True):
    """One end of a session."""

    id: str
    direction: Literal["Inbound", "Outbound"]
    from_: Place = msgspec.field(name="from")
    to: Place
    status: Status
    account_id: str
    extension_id: str | None = None
    sip_data: SipData | None = None


class ActiveCall(Document, frozen=True, kw_only=True):
    """A call that an extension has: how a program finds the ids of a call that it has not made."""

    id: str
    direction: Literal["Inbound", "Outbound"]
    from_: str = msgspec.field(name="from")
    to: str
    telephony_status: str
    telephony_session_id: str
    party_id: str
    sip_data: SipData | None = None


class PresenceDocument(Document, frozen=True, kw_only=True):
    """What an extension is doing."""

    uri: str
    presence_status: str
    telephony_status: str
    active_calls: list[ActiveCall]


class Origin(Document, frozen=True, kw_only=True):
    """What made a session: ``Call``, ``Conference`` or ``CallOut``."""

    type: str


class SessionDocument(Document, frozen=True, kw_only=True):
    """A call or a conference; a conference has what to dial for it."""

    id: str
    origin: Origin
    parties: list[PartyDocument]
    voice_call_token: str | None = None


class SessionAnswer(Document, frozen=True, kw_only=True):
    """A session that was made."""

    session: SessionDocument


class DeviceRequest(Document, frozen=True, kw_only=True):
    """The body of ``answer`` and ``pickup``."""

    device_id: Text


class BringInRequest(Document, frozen=True, kw_only=True):
    """The body of ``bring-in``: a party of another session."""

    session_id: Text
    party_id: Text


class Target(Document, frozen=True, kw_only=True):
    """Whom to call: one of the two."""

    phone_number: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    extension_number: Annotated[str, msgspec.Meta(min_length=1, max_length=16)] | None = None


class CallOutFrom(Document, frozen=True, kw_only=True):
    """Which device is to call."""

    device_id: Text


class CallOutRequest(Document, frozen=True, kw_only=True):
    """The body of ``call-out``."""

    from_: CallOutFrom = msgspec.field(name="from")
    to: Target


class SuperviseRequest(Document, frozen=True, kw_only=True):
    """The body of ``supervise``: a device that is to listen to an extension's call, or more.

    Of the real service only ``Listen`` is known.
    """

    mode: Literal["Listen", "Whisper", "Barge", "TakeOver"]
    supervisor_device_id: Text
    agent_extension_number: Text | None = None
