"""A phone's leg as far as its dialog goes: what the service asks of the phone in it, and its names."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agents.sip import events as sip
from agents.sip.sessions import Sessions
from shared.errors import ActionRefused
from shared.log import log

from .dialect import refer_report
from .sounding import SoundingLeg

if TYPE_CHECKING:
    from .phones import Phone


_GONE = frozenset({404, 481})


class DialogLeg(SoundingLeg):
    """The dialog of a phone's leg. :class:`~agents.pbx.phone_leg.PhoneLeg` adds what becomes of the call."""

    name: str
    call_name: str | None
    sip_call_id: str
    state: str

    def __init__(self, phone: "Phone", session_id: str) -> None:
        super().__init__(phone.exchange.board, phone.exchange.settings)
        self.phone, self.session_id = phone, session_id
        self._waiting: dict[str, Callable[[], None]] = {}  # request id -> what follows its answer
        self._over: list[Callable[[], None]] = []

    def inform(self, body: str) -> None:
        """Send an INFO with JSON."""
        self._request("INFO", [("Content-Type", "application/json;charset=utf-8")], body)

    def introduce(self, number: str) -> None:
        """Tell the phone whom it talks with from now on (UPDATE without an offer, RFC 3311)."""
        identity = f"<sip:{number}@{self.phone.exchange.domain}>"
        self._request("UPDATE", [("P-Asserted-Identity", identity)])

    def notify(self, status: int, reason: str, then: Callable[[], None]) -> None:
        """Tell the phone how its transfer goes (RFC 3515 §2.4.4); ``then`` is called when it has answered.

        Where the phone cannot be told, or does not answer, ``then`` is called all the same.
        """
        headers, body = refer_report(status, reason)
        if not self._request("NOTIFY", headers, body, then):
            then()

    def when_over(self, then: Callable[[], None]) -> None:
        """Call ``then`` when the phone has answered the BYE; at once if that is past."""
        if self.session_id in self.phone.legs:
            self._over.append(then)
        else:
            then()

    def is_dialog(self, call_id: str, local_tag: str, remote_tag: str) -> bool:
        """Whether it is the one that a Replaces means, with the tags as the service sees them (RFC 3891)."""
        is_named = self.sip_call_id == call_id and self.state == "answered"
        return is_named and self.tags() == (local_tag, remote_tag)

    def tags(self) -> tuple[str, str]:
        """Return the tags of its dialog, ours first; empty ones where there is no dialog."""
        try:
            dialog = self._sessions.session(self.session_id).dialog
        except ActionRefused:
            return "", ""
        return (dialog.local_tag, dialog.remote_tag or "") if dialog is not None else ("", "")

    # -- the parts

    @property
    def _sessions(self) -> Sessions:
        return self.phone.sessions

    def _request(
        self,
        method: str,
        headers: list[tuple[str, str]] | None = None,
        body: str = "",
        then: Callable[[], None] | None = None,
    ) -> bool:
        """Send a request in the dialog; False if there is none. ``then`` is called when it is answered."""

        def send(now: float) -> None:
            request_id = self._sessions.request_in_dialog(
                self.session_id, method, now, headers=headers or [], body=body
            )
            if then is not None:
                self._waiting[request_id] = then

        return self._do(send)

    def _asked(self, event: sip.DialogRequestDone) -> None:
        then = self._waiting.pop(event.request_id, None)
        if then is not None:
            then()
        elif event.status in _GONE:
            self._unknown_there()

    @abstractmethod
    def _unknown_there(self) -> None:
        """Take that the phone does not know the call."""

    def _dialog_over(self) -> None:
        """Tell those who waited for the end."""
        over, self._over = self._over, []
        for then in over:
            then()

    def _do(self, command: Callable[[float], object]) -> bool:
        try:
            command(self.phone.exchange.now())
        except ActionRefused as exc:
            # The two ends change independently: what no longer fits has been overtaken.
            log.info("leg.overtaken", leg=self.name, reason=str(exc))
            return False
        finally:
            self.phone.exchange.changed(self.phone)
        return True

    def _record(self, event: str, **facts: Any) -> None:
        facts |= {"leg": self.name, "call": self.call_name, "call_id": self.sip_call_id}
        self.phone.exchange.record(event, **self.phone.facts(), **facts)
