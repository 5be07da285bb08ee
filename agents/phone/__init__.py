"""[core] What the leader knows and decides: actions and SIP events in; calls, commands and replies out."""

from .core import AnswerAction, CommandHost, Effect, PhoneCore, SendSip, TellWindow

__all__ = ["AnswerAction", "CommandHost", "Effect", "PhoneCore", "SendSip", "TellWindow"]
