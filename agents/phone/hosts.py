"""[core] Commands to the windows that host sound, and what is done with their answers."""

from collections.abc import Callable
from dataclasses import dataclass

from agents.sip.sdp import Sdp
from shared.errors import ActionRefused, SipError
from shared.messages import (
    ApplyAnswer,
    MakeAnswer,
    MakeOffer,
    MediaChanged,
    MediaCommand,
    MediaDone,
    PlayDtmf,
    QualityChanged,
    ShapeMedia,
)

from .calls import CallRecord
from .term import CommandHost, Term

#: A media host that did not answer a command by then is taken for one that cannot.
_ANSWER_TIME = 4.0
#: Seconds more for each tone: a host answers when it has sent them all (RFC 4733: 0.16 s and a gap).
_TONE_TIME = 0.25

Then = Callable[[MediaDone, float], None]


@dataclass(slots=True)
class _Waiting:
    instance: str
    deadline: float
    then: Then
    wants_sdp: bool


class MediaHosts:
    """The leader's side of every media host: each command has exactly one answer, or a timeout."""

    def __init__(self, term: Term) -> None:
        self._term = term
        self._waiting: dict[str, _Waiting] = {}
        self._early: dict[str, list[MediaCommand]] = {}  # for hosts that are still loading

    def require(self, instance: str) -> None:
        """Refuse the action if ``instance`` cannot host sound."""
        if not self._term.presence.has_sound(instance):
            name = self._term.presence.name(instance)
            raise ActionRefused("no_media", f"{name} has no sound, so a call cannot be taken there")

    def offer(self, instance: str, record: CallRecord, then: Then, now: float) -> None:
        """Ask for an offer for a new call, or for a new connection of one that there is."""
        command_id = self._term.new_id()
        command = MakeOffer(
            epoch=self._term.epoch, command_id=command_id, call_id=record.call_id, like=record.local_sdp
        )
        self._ask(instance, command, then, now)

    def answer(self, instance: str, record: CallRecord, then: Then, now: float) -> None:
        """Ask for an answer to the far end's offer."""
        command = MakeAnswer(
            epoch=self._term.epoch,
            command_id=self._term.new_id(),
            call_id=record.call_id,
            sdp=record.remote_sdp,
        )
        self._ask(instance, command, then, now)

    def apply(self, record: CallRecord, then: Then, now: float) -> None:
        """Give the far end's answer to the host of a call."""
        command = ApplyAnswer(
            epoch=self._term.epoch,
            command_id=self._term.new_id(),
            call_id=record.call_id,
            sdp=record.remote_sdp,
        )
        self._ask(record.view.media_host, command, then, now)

    def shape(self, record: CallRecord, *, muted: bool, held: bool, then: Then, now: float) -> None:
        """Let a call's sound pass or not."""
        record.told_muted, record.told_held = muted, held
        command = ShapeMedia(
            epoch=self._term.epoch,
            command_id=self._term.new_id(),
            call_id=record.call_id,
            muted=muted,
            held=held,
        )
        self._ask(record.view.media_host, command, then, now)

    def play_dtmf(self, record: CallRecord, tones: str, then: Then, now: float) -> None:
        """Send tones on a call's media stream."""
        command = PlayDtmf(
            epoch=self._term.epoch, command_id=self._term.new_id(), call_id=record.call_id, tones=tones
        )
        self._ask(record.view.media_host, command, then, now + _TONE_TIME * len(tones))

    def attached(self, instance: str) -> None:
        """Send what waited for a host to load, unless nobody waits for it any more."""
        for command in self._early.pop(instance, []):
            if command.command_id in self._waiting:
                self._term.effects.append(CommandHost(instance, command))

    def done(self, message: MediaDone, now: float) -> None:
        """Take a host's answer; one that came too late is ignored. A description must be one."""
        if (waiting := self._waiting.pop(message.command_id, None)) is None:
            return
        if waiting.wants_sdp and not message.error and not _is_usable(message.sdp):
            error = "what it says is no session description"
            message = MediaDone(epoch=message.epoch, command_id=message.command_id, error=error)
        waiting.then(message, now)

    def changed(self, message: MediaChanged) -> None:
        """Note the connectivity that a host reports of a call."""
        record = self._term.calls.find(message.call_id)
        if record is None and message.instance:
            # Its end was told while the host did not hear, or the call was lost with a leader before us.
            self._term.free(message.instance, message.call_id)
        if record and not record.view.state.is_final and record.view.media != message.state:
            self._term.change(record, media=message.state)

    def measured(self, message: QualityChanged) -> None:
        """Note how well a host says that a call is heard; the last word comes when it is over."""
        record = self._term.calls.find(message.call_id)
        if record and record.view.quality != message.quality:
            self._term.change(record, quality=message.quality)

    def gone(self, instance: str, now: float) -> None:
        """Fail every command that ``instance`` has not answered: its process is gone."""
        self._early.pop(instance, None)
        self._fail(lambda waiting: waiting.instance == instance, "its process has gone", now)

    def tick(self, now: float) -> None:
        """Fail the commands that were not answered in time."""
        self._fail(lambda waiting: waiting.deadline <= now, f"no answer for {_ANSWER_TIME:.0f} s", now)

    def next_deadline(self) -> float | None:
        """Return when the first command's time is over, or None."""
        return min((waiting.deadline for waiting in self._waiting.values()), default=None)

    def _ask(self, instance: str, command: MediaCommand, then: Then, now: float) -> None:
        wants_sdp = isinstance(command, MakeOffer | MakeAnswer)
        self._waiting[command.command_id] = _Waiting(instance, now + _ANSWER_TIME, then, wants_sdp)
        if self._term.presence.is_attached(instance):
            self._term.effects.append(CommandHost(instance, command))
        else:
            early = [one for one in self._early.get(instance, ()) if one.command_id in self._waiting]
            self._early[instance] = [*early, command]

    def _fail(self, applies: Callable[[_Waiting], bool], error: str, now: float) -> None:
        for command_id in [key for key, waiting in self._waiting.items() if applies(waiting)]:
            failed = MediaDone(epoch=self._term.epoch, command_id=command_id, error=error)
            self.done(failed, now)


def _is_usable(sdp: str) -> bool:
    """Whether a description has what later changes of it need: an origin and sound."""
    try:
        Sdp.parse(sdp).with_version(1).with_direction("sendrecv")
    except SipError:
        return False
    return True
