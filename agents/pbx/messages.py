"""What a phone that rings wants by an agent message: decline, voicemail, forward, reply.

Each of them takes the call from all phones that ring, and the service goes on with it. The phones are told in
lock step: SessionClose (Cmd 9), and when that was answered, CANCEL; for a reply the CANCEL alone, and the
SessionClose follows when the caller has chosen. The caller notices nothing but what it hears next: a robot.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from agents.sip.ringcentral import AgentMessage, Command

from .robots import SOUNDS, Robot

if TYPE_CHECKING:
    from .calls import Call
    from .phone_leg import PhoneLeg

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

VOICEMAIL, DECLINED, MENU = (SOUNDS / f"{name}.wav" for name in ("voicemail", "declined", "menu"))

_NOT_ANSWERED, _YES, _NO, _URGENT = {"Sts": "1"}, {"Resp": "1"}, {"Resp": "2"}, {"Resp": "3"}


def obey(call: "Call", leg: "PhoneLeg", message: AgentMessage) -> None:
    """Do what the phone of ``leg``, one of those that ``call`` rings, asks for."""
    match message.command:
        case Command.CLIENT_REJECT:
            call.divert("declined")
            call.ring_robot("declined", DECLINED).hangs_up = True
        case Command.CLIENT_VOICEMAIL:
            call.divert("to voicemail")
            take_message(call)
        case Command.CLIENT_FORWARD:
            number = message.body.get("Phn", "")
            call.divert("forwarded")
            call.route(number)
        case Command.CLIENT_START_REPLY:
            call.ring_longer()
        case Command.CLIENT_REPLY:
            call.divert("replied", tell=False)
            robot = call.ring_robot("menu", MENU, longest=call.switch.settings.max_voicemail)
            Menu(leg, robot, {"Phn": call.who.public_number, "Nm": call.who.name})


def take_message(call: "Call") -> None:
    """Let the caller leave a message, of bounded length."""
    call.ring_robot("voicemail", VOICEMAIL, longest=call.switch.settings.max_voicemail)


class Menu:
    """The caller's choice: 1 repeat, 2 voicemail, 3 yes, 4 no, 5 urgent with a number, 6 end.

    A number ends with ``#``, and ``1`` confirms it.
    """

    def __init__(self, leg: "PhoneLeg", robot: Robot, caller: Mapping[str, str]) -> None:
        self._leg, self._robot, self._caller = leg, robot, caller
        self._number: str | None = None
        self._is_over = False
        robot.on_key = self.pressed
        robot.on_end = lambda: self._tell(_NOT_ANSWERED)

    def pressed(self, key: str) -> None:
        """Take a key."""
        if self._is_over:
            return
        if self._number is not None:
            self._take_digit(self._number, key)
        elif key == "1":
            self._robot.say(MENU)
        elif key == "2":
            self._tell(_NOT_ANSWERED)
            self._robot.say(VOICEMAIL)
        elif key in "34":
            self._tell(_YES if key == "3" else _NO)
            self._robot.leave()
        elif key == "5":
            self._number = ""
        elif key == "6":
            self._robot.leave()

    def _take_digit(self, number: str, key: str) -> None:
        if not number.endswith("#"):
            self._number = (number + key)[-32:]
        elif key == "1":
            self._tell({**_URGENT, "ExtNfo": number.rstrip("#")})
            self._robot.leave()
        else:
            self._number = key

    def _tell(self, choice: Mapping[str, str]) -> None:
        """Tell the phone that replied, once."""
        if not self._is_over:
            self._is_over = True
            body = {"Sts": "0", "Resp": "", "ExtNfo": "", **self._caller, **choice}
            self._leg.phone.tell(self._leg.call_id, Command.SESSION_CLOSE, body=body)
