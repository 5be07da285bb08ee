"""What a phone that rings wants by an agent message: decline, voicemail, forward, reply.

Each of them takes the call from all phones that ring, and the service goes on with it. The phones are told in
lock step: SessionClose (Cmd 9), and when that was answered, CANCEL; for a reply the CANCEL alone, and the
SessionClose follows when the caller has chosen. The caller notices nothing but what it hears next: a robot.
When it has left a message, the phones of that extension are told (NewMsg, Cmd 3).
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agents.sip.ringcentral import AgentMessage, Command
from shared.log import log

from .replies import MENU, read_reply, spoken
from .robots import SOUNDS, Robot

if TYPE_CHECKING:
    from .calls import Call
    from .phone_leg import PhoneLeg
    from .phones import Phone


VOICEMAIL, DECLINED = (SOUNDS / f"{name}.wav" for name in ("voicemail", "declined"))

_NOT_ANSWERED, _YES, _NO, _URGENT = {"Sts": "1"}, {"Resp": "1"}, {"Resp": "2"}, {"Resp": "3"}


def obey(call: "Call", leg: "PhoneLeg", message: AgentMessage) -> None:
    """Do what the phone of ``leg``, one of those that ``call`` rings, asks for."""
    match message.command:
        case Command.CLIENT_REJECT:
            call.divert("declined")
            call.ring_robot("declined", DECLINED).hangs_up = True
        case Command.CLIENT_VOICEMAIL:
            call.divert("to voicemail")
            take_message(call, leg.phone.extension)
        case Command.CLIENT_FORWARD:
            number = message.body.get("Phn", "")
            call.divert("forwarded")
            call.route(number)
        case Command.CLIENT_START_REPLY:
            call.ring_longer()
        case Command.CLIENT_REPLY:
            _reply(call, leg, message)


def _reply(call: "Call", leg: "PhoneLeg", message: AgentMessage) -> None:
    reply, settings = read_reply(message.body), call.switch.settings
    call.divert(f"replied: {reply.words}", tell=False)
    try:
        play = spoken(reply, settings.directory / "replies")
    except OSError as exc:
        log.warning("reply.not_spoken", call=call.call, reason=str(exc))
        play = MENU
    robot = call.ring_robot("menu", play, longest=settings.max_voicemail)
    menu = Menu(leg, robot, {"Phn": call.who.public_number, "Nm": call.who.name}, play)
    menu.on_voicemail = lambda: _expect(call, leg.phone.extension, robot)


def take_message(call: "Call", extension: str) -> None:
    """Let the caller leave a message, of bounded length, for an extension."""
    robot = call.ring_robot("voicemail", VOICEMAIL, longest=call.switch.settings.max_voicemail)
    _expect(call, extension, robot)


def _expect(call: "Call", extension: str, robot: Robot) -> None:
    """Tell the phones of an extension when a message was left."""

    def ended() -> None:
        if robot.robot_view().seconds > 0:
            call.switch.ledger.record("VOICEMAIL_LEFT", call=call.call, leg=robot.name, extension=extension)
            for phone in call.switch.reachable(extension):
                phone.tell(call.name, Command.NEW_MESSAGE)

    robot.on_end = ended


def tell_all_taken(call: "Call", phones: Iterable["Phone"]) -> None:
    """Tell each of the phones that rang, in the name of each other's device, that the call is taken (Cmd 7).

    Each is told in its own device's name besides. What is for another device the SDKs drop without an answer.
    """
    rung = list(phones)
    devices = sorted({phone.subscriber.authorization_id for phone in rung})
    for phone in rung:
        for device in devices:
            if device != phone.subscriber.authorization_id:
                phone.tell(call.name, Command.ALREADY_PROCESSED, body={"Cln": device})


class Menu:
    """The caller's choice: 1 repeat, 2 voicemail, 3 yes, 4 no, 5 urgent with a number, 6 end.

    A number ends with ``#``, and ``1`` confirms it.
    """

    def __init__(self, leg: "PhoneLeg", robot: Robot, caller: Mapping[str, str], play: Path = MENU) -> None:
        self._leg, self._robot, self._caller, self._play = leg, robot, caller, play
        self.on_voicemail: Callable[[], None] = lambda: None
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
            self._robot.say(self._play)
        elif key == "2":
            self._tell(_NOT_ANSWERED)
            self._robot.say(VOICEMAIL)
            self.on_voicemail()
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
