"""What can be read of a call: its newest state, field by field, and how it ended in words."""

from collections.abc import Mapping

from .messages import Call as CallView
from .messages import CallState, Cause, Direction, MediaState, Quality

_ENDINGS = {
    Cause.TRANSFERRED: "transferred",
    Cause.HUNG_UP_HERE: "hung up here",
    Cause.HUNG_UP_THERE: "the far end hung up",
    Cause.CANCELLED: "the caller gave up",
    Cause.DECLINED: "declined",
    Cause.ANSWERED_ELSEWHERE: "answered elsewhere",
    Cause.REJECTED: "refused",
    Cause.VOICEMAIL: "sent to voicemail",
    Cause.FORWARDED: "forwarded",
    Cause.REPLIED: "answered by a message",
    Cause.PARKED: "parked",
    Cause.NO_MEDIA: "no sound",
    Cause.TIMEOUT: "no answer from the far end",
    Cause.LOST: "lost",
}


def ending(view: CallView) -> str:
    """Return how a call ended, in words: ``ended: answered elsewhere``; "" while it has not."""
    if not view.state.is_final:
        return ""
    words = _ENDINGS[view.cause or Cause.LOST]
    if view.cause is Cause.REJECTED and view.status:
        words = f"refused with {view.status} {view.reason}".rstrip()
    elif view.cause in (Cause.NO_MEDIA, Cause.LOST) and view.reason:
        words = f"{words}: {view.reason}"
    return f"{'failed' if view.state is CallState.FAILED else 'ended'}: {words}"


class CallFacts:
    """The state of one call, always the newest known."""

    def __init__(self, view: CallView) -> None:
        self._view = view

    @property
    def view(self) -> CallView:
        """All that is known of the call, as an immutable value."""
        return self._view

    @property
    def call_id(self) -> str:
        """The group's own id of the call."""
        return self._view.call_id

    @property
    def direction(self) -> Direction:
        """Who began it."""
        return self._view.direction

    @property
    def state(self) -> CallState:
        """Where it is in its life."""
        return self._view.state

    @property
    def remote_number(self) -> str:
        """The far end's number."""
        return self._view.remote_number

    @property
    def remote_name(self) -> str:
        """The far end's name, if the service tells it."""
        return self._view.remote_name

    @property
    def local_number(self) -> str:
        """The number of ours that was called, or is shown to the far end."""
        return self._view.local_number

    @property
    def local_name(self) -> str:
        """The name that the service knows us by, if it tells it."""
        return self._view.local_name

    @property
    def session_id(self) -> str:
        """The service's id of the telephony session (REST); "" while it has not told."""
        return self._view.session_id

    @property
    def party_id(self) -> str:
        """The service's id of our side of it (REST); "" while it has not told."""
        return self._view.party_id

    @property
    def call_info(self) -> Mapping[str, str]:
        """What the service says of it besides (``p-rc-api-call-info``): the queue it came by, for example."""
        return self._view.call_info

    @property
    def attributes(self) -> frozenset[str]:
        """What the service calls it (``queue-call``) and offers for it (``reject``, ``send-vm``)."""
        listed = self._view.call_info.get("callAttributes", "").split(",")
        return frozenset(name.strip() for name in listed if name.strip())

    @property
    def is_queue_call(self) -> bool:
        """Whether it came by a call queue: while it rings, it can only be answered or declined."""
        return "queue-call" in self.attributes

    @property
    def is_conference(self) -> bool:
        """Whether it is our own end of a conference."""
        return self._view.remote_number.startswith("conf_")

    @property
    def held(self) -> bool:
        """Whether we hold it."""
        return self._view.held

    @property
    def held_by_remote(self) -> bool:
        """Whether the far end holds it."""
        return self._view.held_by_remote

    @property
    def recording(self) -> bool:
        """Whether the service records it."""
        return self._view.recording

    @property
    def muted(self) -> bool:
        """Whether our microphone is off."""
        return self._view.muted

    @property
    def media(self) -> MediaState:
        """Whether sound is connected."""
        return self._view.media

    @property
    def quality(self) -> Quality | None:
        """How well it is heard where its sound is; None before that is known."""
        return self._view.quality

    @property
    def cause(self) -> Cause | None:
        """Why it is over, None while it is not."""
        return self._view.cause

    @property
    def ending(self) -> str:
        """How it ended, in words for people: ``ended: answered elsewhere``; "" while it has not."""
        return ending(self._view)
