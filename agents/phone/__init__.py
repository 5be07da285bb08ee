"""[core] What the leader knows and decides: actions and SIP events in; calls, commands and replies out."""

from .core import PhoneCore
from .estate import Estate, decode_estate
from .term import (
    AnswerAction,
    CommandHost,
    DropLine,
    Effect,
    ForgetInstance,
    KeepLine,
    LeaveEstate,
    LeaveProxy,
    SendSip,
    TellWindow,
)

__all__ = [
    "AnswerAction",
    "CommandHost",
    "DropLine",
    "Effect",
    "Estate",
    "ForgetInstance",
    "KeepLine",
    "LeaveEstate",
    "LeaveProxy",
    "PhoneCore",
    "SendSip",
    "TellWindow",
    "decode_estate",
]
