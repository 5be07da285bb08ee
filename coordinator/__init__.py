"""One SIP registration for any number of processes: the only package that programs import.

    async with join("front-desk", account="account.json") as phone:
        call = await phone.call("16506668888")
        await call.hold()

Every process that joins a group is a window: it shows the same calls and can do everything with them. One of
them leads, and is the real phone; when it dies, by any cause, another takes over in milliseconds.
"""

import importlib
from os.path import abspath, dirname
from typing import TYPE_CHECKING, Any

import agents
import shared

# Both names are common: a foreign package that is found first would fail somewhere deep inside.
_home = dirname(dirname(abspath(__file__)))
for _package in (agents, shared):
    if dirname(abspath(_package.__path__[0])) != _home:
        raise ImportError(
            f"the package {_package.__name__!r} was found in {_package.__path__[0]}, but sharedline's own "
            f"is in {_home}; rename or uninstall the other one"
        )

from shared.call import Call, Consultation  # noqa: E402 - after the check above
from shared.config import Account, Settings, load_account, load_settings  # noqa: E402
from shared.errors import (  # noqa: E402
    AccountError,
    ActionRefused,
    CallFailed,
    CallLost,
    CertificateUntrusted,
    ConfigError,
    GroupError,
    LoginFailed,
    MediaError,
    OutcomeUnknown,
    RegistrationFailed,
    RestFailed,
    ServiceUnreachable,
    SharedlineError,
    TooManyContacts,
)
from shared.messages import (  # noqa: E402
    CallState,
    Cause,
    Direction,
    MediaState,
    RegistrationState,
    Replied,
    ReplyKind,
    Snapshot,
)
from shared.phone import Phone  # noqa: E402
from shared.sound import Device  # noqa: E402

from .node import join  # noqa: E402

if TYPE_CHECKING:
    from agents.rest.client import RestClient, RestLogin
    from agents.sip.trace import SipTrace, Traced

    from .blocking import BlockingCall, BlockingPhone, join_blocking
    from .sound import DeviceManager
    from .web_phone import WebPhone

#: Imported on first use, and from where: a window that has no sound and asks for none of it stays small.
_ON_DEMAND = {
    "BlockingCall": "coordinator.blocking",
    "BlockingPhone": "coordinator.blocking",
    "DeviceManager": "coordinator.sound",
    "RestClient": "agents.rest.client",
    "RestLogin": "agents.rest.client",
    "SipTrace": "agents.sip.trace",
    "Traced": "agents.sip.trace",
    "WebPhone": "coordinator.web_phone",
    "join_blocking": "coordinator.blocking",
}

__all__ = [
    "Account",
    "AccountError",
    "ActionRefused",
    "BlockingCall",
    "BlockingPhone",
    "Call",
    "CallFailed",
    "CallLost",
    "CallState",
    "Cause",
    "CertificateUntrusted",
    "ConfigError",
    "Consultation",
    "Device",
    "DeviceManager",
    "Direction",
    "GroupError",
    "LoginFailed",
    "MediaError",
    "MediaState",
    "OutcomeUnknown",
    "Phone",
    "RegistrationFailed",
    "RegistrationState",
    "Replied",
    "ReplyKind",
    "RestClient",
    "RestFailed",
    "RestLogin",
    "ServiceUnreachable",
    "Settings",
    "SharedlineError",
    "SipTrace",
    "Snapshot",
    "TooManyContacts",
    "Traced",
    "WebPhone",
    "join",
    "join_blocking",
    "load_account",
    "load_settings",
]


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return getattr(importlib.import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
