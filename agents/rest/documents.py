"""[core] What the REST API is asked with and answers, as far as we read it. Unknown fields are ignored."""

from typing import Any

import msgspec


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
