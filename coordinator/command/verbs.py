"""What can be typed into a window: a verb, its words, and perhaps the call that is meant."""

from dataclasses import dataclass
from typing import cast, get_args

from shared.call import Call, Consultation
from shared.errors import ActionRefused
from shared.messages import CallState, Direction, ReplyKind, ReplyUnits
from shared.phone import Phone

HELP = """\
call NUMBER     call a number or extension      hold | unhold [CALL]
answer [CALL]   answer here                     mute | unmute [CALL]
decline [CALL]  refuse a ringing call           dtmf TONES [CALL]
hangup [CALL]   end a call                      transfer NUMBER [CALL]
voicemail [CALL]         send to voicemail      consult NUMBER  hold, and ask NUMBER about it
forward NUMBER [CALL]    send elsewhere         complete | cancel   the transfer
reply [CALL] KIND | TEXT tell the caller        record | stop [CALL]   by the service
park [CALL]     at a place that is told         flip NUMBER [CALL]     to another phone of yours
hide SLOT [CALL]         park privately         retrieve PLACE         whoever is parked there
renew [CALL]    a new connection for its sound  show            the whole state
monitor | whisper | barge | takeover EXTENSION  a call of that extension
help, quit
CALL is the beginning of a call's id; without it, the newest call that the command fits.
KIND is one of on_my_way, in_a_meeting, on_other_line, on_other_line_no_call, call_you_back_later, or
call_you_back to_caller|from_caller NUMBER minutes|hours|days."""


@dataclass(frozen=True, slots=True)
class _Verb:
    """A method of a call: how many words it takes, and which calls it fits."""

    method: str
    states: tuple[CallState, ...] = (CallState.ANSWERED,)
    words: int = 0
    is_inbound: bool = False


_RINGING = (CallState.RINGING,)
_VERBS = {
    "answer": _Verb("answer", _RINGING, is_inbound=True),
    "decline": _Verb("decline", _RINGING, is_inbound=True),
    "voicemail": _Verb("to_voicemail", _RINGING, is_inbound=True),
    "forward": _Verb("forward", _RINGING, words=1, is_inbound=True),
    "hangup": _Verb("hangup", tuple(CallState)),
    "hold": _Verb("hold"),
    "unhold": _Verb("unhold"),
    "mute": _Verb("mute"),
    "unmute": _Verb("unmute"),
    "dtmf": _Verb("send_dtmf", words=1),
    "transfer": _Verb("transfer", words=1),
    "record": _Verb("start_recording"),
    "stop": _Verb("stop_recording"),
    "flip": _Verb("flip", words=1),
    "park": _Verb("park"),
    "hide": _Verb("park", words=1),
    "renew": _Verb("re_invite"),
}
_SPECIAL = {
    "retrieve": "retrieve",
    "monitor": "monitor",
    "whisper": "whisper",
    "barge": "barge",
    "takeover": "take_over",
}


class Verbs:
    """Do what is typed."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._consultation: Consultation | None = None

    async def run(self, verb: str, words: list[str]) -> str:
        """Do it, and return what it says; raises :exc:`ActionRefused` for what is not understood."""
        known = _VERBS.get(verb)
        if known is not None and len(words) in (known.words, known.words + 1):
            direction = Direction.INBOUND if known.is_inbound else None
            call = self._find(words[known.words :], *known.states, direction=direction)
            return str(await getattr(call, known.method)(*words[: known.words]) or "")
        match verb, words:
            case "call", [number]:
                return (await self._phone.dial(number)).call_id
            case _, [where] if verb in _SPECIAL:
                made: Call = await getattr(self._phone, _SPECIAL[verb])(where)
                return made.call_id
            case "consult", [number, *which]:
                self._consultation = await self._find(which, CallState.ANSWERED).warm_transfer(number)
            case (("complete" | "cancel"), []):
                await getattr(self._consulting(), verb)()
            case "reply", [_, *_]:
                return await self._reply(words)
            case _:
                raise ActionRefused("bad_request", f"not understood: {' '.join([verb, *words])}; try help")
        return ""

    async def _reply(self, words: list[str]) -> str:
        is_named = any(call.call_id.startswith(words[0]) for call in self._phone.calls)
        call = self._find(words[:is_named], CallState.RINGING, direction=Direction.INBOUND)
        match words[is_named:]:
            case ["call_you_back", "to_caller" | "from_caller" as direction, delay, units] if (
                delay.isdecimal() and units in get_args(ReplyUnits)
            ):
                replied = await call.reply(
                    kind=ReplyKind.CALL_YOU_BACK,
                    direction=direction,
                    delay=int(delay),
                    units=cast("ReplyUnits", units),
                )
            case [kind] if kind in set(ReplyKind):
                replied = await call.reply(kind=ReplyKind(kind))
            case text:
                replied = await call.reply(" ".join(text))
        return f"{replied.answer} {replied.callback}".rstrip()

    def _find(self, which: list[str], *states: CallState, direction: Direction | None = None) -> Call:
        calls = self._phone.calls
        if which:
            # Named calls are looked up as they are: the leader says why a verb does not fit their state.
            calls = [call for call in calls if call.call_id.startswith(which[0])]
        else:
            calls = [call for call in calls if call.state in states]
            calls = [call for call in calls if direction in (None, call.direction)]
        if not calls:
            raise ActionRefused("no_such_call", f"there is no call {' '.join(which) or 'for that'}")
        return calls[-1]

    def _consulting(self) -> Consultation:
        if self._consultation is None:
            raise ActionRefused("no_such_call", "nobody was consulted here; try: consult NUMBER")
        return self._consultation
