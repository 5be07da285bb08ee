"""[core] The JSON documents of the REST side, as far as phones and their programs read them.

Names are those of the real service. Ids of accounts and extensions are numbers made from their phone numbers;
texts in paths may be such an id, or ``~`` for one's own.
"""

from typing import Annotated, Any, Generic, TypeVar

import msgspec

from ..accounts import SipInfo, Subscriber, canonical

T = TypeVar("T")
Text = Annotated[str, msgspec.Meta(max_length=256)]

_ROOT = "/restapi/v1.0/account"
_FIRST_ACCOUNT, _FIRST_EXTENSION = 400_000_000_000_000, 62_000_000_000


class Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of what is sent and read. Unknown fields are ignored, as the real service does."""


def account_id(main_number: str) -> int:
    """Return the id of the account."""
    return _FIRST_ACCOUNT + int(canonical(main_number))


def extension_id(number: str) -> int:
    """Return the id of an extension."""
    return _FIRST_EXTENSION + int(number)


# -- login


class TokenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a login (RFC 6749 §5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    refresh_token_expires_in: int
    scope: str
    owner_id: str
    endpoint_id: str


# -- devices


class Transport(Document, frozen=True, kw_only=True):
    """How a device wants to connect."""

    transport: Text


class DeviceName(Document, frozen=True, kw_only=True):
    """A device, named."""

    id: Text


class ProvisionRequest(Document, frozen=True, kw_only=True):
    """The body of ``sip-provision``. With ``device``, that device's credentials once more."""

    sip_info: Annotated[list[Transport], msgspec.Meta(min_length=1, max_length=10)]
    device: DeviceName | None = None


class ExtensionName(Document, frozen=True, kw_only=True):
    """An extension, named."""

    uri: str
    id: int
    extension_number: str


class DeviceDocument(Document, frozen=True, kw_only=True):
    """A device of an extension."""

    uri: str
    id: str
    type: str
    name: str
    status: str
    extension: ExtensionName


class ProvisionDocument(Document, frozen=True, kw_only=True):
    """The answer of ``sip-provision``."""

    device: DeviceDocument
    sip_info: list[SipInfo]
    sip_flags: dict[str, bool]
    sip_error_codes: list[str]


# -- accounts and extensions


class AccountDocument(Document, frozen=True, kw_only=True):
    """The account."""

    uri: str
    id: int
    main_number: str
    status: str


class Contact(Document, frozen=True, kw_only=True):
    """Who has an extension."""

    first_name: str
    last_name: str = ""


class ExtensionDocument(Document, frozen=True, kw_only=True):
    """An extension."""

    uri: str
    id: int
    extension_number: str
    name: str
    type: str
    status: str
    contact: Contact
    account: dict[str, Any]


class PhoneNumber(Document, frozen=True, kw_only=True):
    """A full number, and what it is good for."""

    uri: str
    id: int
    phone_number: str
    type: str
    usage_type: str
    payment_type: str
    status: str
    features: list[str]


class Paging(Document, frozen=True, kw_only=True):
    """Which part of a list this is: always all of it."""

    page: int
    per_page: int
    page_start: int
    page_end: int
    total_pages: int
    total_elements: int


class Records(Document, Generic[T], frozen=True, kw_only=True):
    """A list."""

    uri: str
    records: list[T]
    paging: Paging
    navigation: dict[str, Any]


def records(uri: str, found: list[T]) -> Records[T]:
    """Return a list of one page."""
    last = max(len(found) - 1, 0)
    paging = Paging(
        page=1,
        per_page=max(len(found), 100),
        page_start=0,
        page_end=last,
        total_pages=1,
        total_elements=len(found),
    )
    return Records(uri=uri, records=found, paging=paging, navigation={})


class Describer:
    """Describes what an account has. ``server`` is where its URIs begin."""

    def __init__(self, server: str, main_number: str) -> None:
        self._main_number = main_number
        self.account = account_id(main_number)
        self._uri = f"{server}{_ROOT}/{self.account}"

    def account_document(self) -> AccountDocument:
        """Return the account."""
        number = f"+{canonical(self._main_number)}"
        return AccountDocument(uri=self._uri, id=self.account, main_number=number, status="Confirmed")

    def extension_uri(self, owner: Subscriber) -> str:
        """Return where an extension is."""
        return f"{self._uri}/extension/{extension_id(owner.extension.number)}"

    def extension(self, owner: Subscriber) -> ExtensionDocument:
        """Return an extension."""
        extension = owner.extension
        first, _, last = extension.display_name.partition(" ")
        return ExtensionDocument(
            uri=self.extension_uri(owner),
            id=extension_id(extension.number),
            extension_number=extension.number,
            name=extension.display_name,
            type="User",
            status="Enabled",
            contact=Contact(first_name=first, last_name=last),
            account={"id": str(self.account), "uri": self._uri},
        )

    def phone_numbers(self, owner: Subscriber) -> Records[PhoneNumber]:
        """Return the numbers that an extension may show when it calls: its own, and the main one."""
        base = f"{self.extension_uri(owner)}/phone-number"
        own = [(number, "DirectNumber") for number in owner.extension.numbers]
        found = [
            PhoneNumber(
                uri=f"{base}/{canonical(number)}",
                id=int(canonical(number)),
                phone_number=f"+{canonical(number)}",
                type="VoiceFax",
                usage_type=usage,
                payment_type="Local",
                status="Normal",
                features=["CallerId"],
            )
            for number, usage in [(self._main_number, "MainCompanyNumber"), *own]
        ]
        return records(base, found)

    def device(self, device: Subscriber, *, is_online: bool) -> DeviceDocument:
        """Return a device."""
        extension = device.extension
        return DeviceDocument(
            uri=f"{self._uri}/device/{device.device_id}",
            id=device.device_id,
            type="WebPhone",
            name="WebPhone",
            status="Online" if is_online else "Offline",
            extension=ExtensionName(
                uri=self.extension_uri(device),
                id=extension_id(extension.number),
                extension_number=extension.number,
            ),
        )
