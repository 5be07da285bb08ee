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
    "LeaveProxy",
    "PhoneCore",
    "SendSip",
    "TellWindow",
    "decode_estate",
]
