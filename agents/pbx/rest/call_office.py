"""What the REST side is asked about calls, and has done with them. Use it on the service's event loop."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from agents.sip.message import Request
from agents.sip.ringcentral import AgentMessage
from shared.errors import ActionRefused, SharedlineError

from ..accounts import Subscriber, without_separators
from ..calls import Call
from ..conferences import Conference
from ..dialect import Caller, CallName
from ..legs import Ends, Leg
from ..phone_leg import PhoneLeg
from ..phones import Phone
from ..service_leg import ServiceLeg
from .call_documents import (
    ActiveCall,
    BringInRequest,
    CallOutRequest,
    Origin,
    PartyDocument,
    PresenceDocument,
    SessionDocument,
    SuperviseRequest,
)
from .errors import ApiError, bad_parameter, not_found, wrong_state
from .legs import DialingLeg
from .parties import Parties

if TYPE_CHECKING:
    from ..service import Simulator
    from .office import Office

_CODES = {"Listen": "*80", "Whisper": "*81", "Barge": "*82", "TakeOver": "*83"}
_DIALLED = re.compile(r"[\w+*#]+", re.ASCII)  # also the token of a conference
_MOST_DIALING = 64


class CallOffice:
    """Each method is asked by the user of an extension. Methods raise :exc:`.errors.ApiError`."""

    def __init__(self, service: "Simulator", office: "Office") -> None:
        self._service, self._office = service, office
        self._parties = Parties(service, office.account_id())
        self._dialing: dict[str, Dialing] = {}  # by session id

    # -- to look

    def session(self, session_id: str) -> SessionDocument:
        """Return a call or a conference."""
        if (dialing := self._dialing.get(session_id)) is not None:
            return self._dialing_document(dialing)
        try:
            return self._conference_document(self._service.conferences.get(session_id))
        except ActionRefused:
            return self._document(session_id)

    def presence(self, owner: Subscriber) -> PresenceDocument:
        """Return what the user's phones are doing."""
        calls = {
            (call.call, party.id): self._active(call, leg, party)
            for call, leg in self._all()
            if isinstance(leg, PhoneLeg) and leg.phone.extension == owner.extension.number
            for party in [self._parties.document(call, leg)]
        }
        active = list(calls.values())
        return PresenceDocument(
            uri=f"{self._office.extension(owner).uri}/presence",
            presence_status="Busy" if active else "Available",
            telephony_status=active[0].telephony_status if active else "NoCall",
            active_calls=active,
        )

    def _active(self, call: Call, leg: PhoneLeg, party: PartyDocument) -> ActiveCall:
        states = {"Answered": "CallConnected", "Hold": "OnHold"}
        return ActiveCall(
            id=f"{call.call}-{leg.name}",
            direction=party.direction,
            from_=party.from_.phone_number or party.from_.extension_number or "",
            to=party.to.phone_number or party.to.extension_number or "",
            telephony_status=states.get(party.status.code, "Ringing"),
            telephony_session_id=call.ids(leg)[0],
            party_id=party.id,
            sip_data=party.sip_data,
        )

    # -- calls that ring

    def answer(self, owner: Subscriber, session_id: str, party_id: str, device_id: str) -> PartyDocument:
        """Have one of the user's phones, which rings, answer by itself: it is rung anew, and told to."""
        device = self._office.device_of(owner, device_id)
        call, _ = self._ringing(session_id, party_id)
        mine = next((leg for leg in _rung(call) if _is_of(leg.phone, device)), None)
        if mine is None:
            raise wrong_state("the device does not ring with this call")
        call.callees.remove(mine)
        mine.end("answered by REST")
        leg = PhoneLeg(mine.phone, call.name, is_caller=False)
        self._ring(call, leg)
        return self._parties.document(call, leg)

    def pick_up(self, owner: Subscriber, session_id: str, party_id: str, device_id: str) -> PartyDocument:
        """Have one of the user's phones take a call that rings elsewhere; it makes the offer."""
        phone = self._phone(owner, device_id)
        call, _ = self._ringing(session_id, party_id)
        if any(leg.phone is phone for leg in _rung(call)):
            raise wrong_state("the device rings with this call already")
        leg = PhoneLeg(phone, call.name, is_caller=False)
        leg.asks = True
        self._ring(call, leg)
        return self._parties.document(call, leg)

    def _ring(self, call: Call, leg: PhoneLeg) -> None:
        leg.who = replace(call.who, answer_after=0)
        call.ring(leg)

    def _ringing(self, session_id: str, party_id: str) -> tuple[Call, Leg]:
        call, leg = self._find(session_id, party_id)
        if leg is call.caller:
            raise wrong_state("the party does not ring")
        if call.far is not None or call.is_over:
            raise wrong_state("the call has been answered")
        return call, leg

    # -- calls that begin here

    def call_out(self, owner: Subscriber, request: CallOutRequest) -> SessionDocument:
        """Ring one of the user's phones, which answers by itself, and call somebody for it."""
        phone = self._phone(owner, request.from_.device_id)
        target = without_separators(request.to.phone_number or request.to.extension_number or "")
        if not target:
            raise bad_parameter("to", "phoneNumber or extensionNumber is needed")
        if not _DIALLED.fullmatch(target):
            raise bad_parameter("to", "that is no number or extension")
        return self._dialing_document(self._dial(phone, target, lambda _call: None))

    def supervise(self, owner: Subscriber, session_id: str, request: SuperviseRequest) -> SessionDocument:
        """Ring one of the user's phones, which answers by itself, and let it hear an extension's call.

        Or be heard there, or have it: as who dials one of the codes and keys in the extension.
        """
        phone = self._phone(owner, request.supervisor_device_id)
        agents = {leg.phone.extension for _, leg in self._legs(session_id) if isinstance(leg, PhoneLeg)}
        wanted = request.agent_extension_number or min(agents, default="")
        if wanted not in agents:
            raise not_found("agentExtensionNumber")

        def key_in(call: Call) -> None:
            for key in f"{wanted}#":
                if isinstance(call.far, ServiceLeg):
                    call.far.press(key)

        return self._dialing_document(self._dial(phone, _CODES[request.mode], key_in))

    def _dial(self, phone: Phone, target: str, then: Callable[[Call], None]) -> "Dialing":
        if len(self._dialing) >= _MOST_DIALING:
            raise wrong_state(f"{_MOST_DIALING} phones are rung so that they call: wait for them")
        name = CallName(self._service.new_id())
        leg = DialingLeg(phone, name, is_caller=False)
        leg.place = 1
        leg.who = Caller(target, "", answer_after=0)
        dialing = Dialing(self._service, leg, target, then, lambda: self._dialing.pop(name.session_id, None))
        self._dialing[name.session_id] = dialing
        leg.ends = dialing
        leg.ring()
        return dialing

    # -- conferences

    def create_conference(self, owner: Subscriber) -> SessionDocument:
        """Make a conference, which the user and others may dial."""
        try:
            made = self._service.conferences.create(owner.extension.number)
        except ActionRefused as exc:
            raise wrong_state(str(exc)) from exc
        return self._conference_document(made)

    async def bring_in(self, conference_id: str, request: BringInRequest) -> PartyDocument:
        """Move a party of another call into a conference."""
        conferences = self._service.conferences
        try:
            party = await conferences.bring_in(conference_id, request.session_id, request.party_id)
        except ActionRefused as exc:
            if exc.code == "no_such_call":
                raise ApiError(404, "CMN-102", str(exc)) from exc
            raise wrong_state(str(exc)) from exc
        except SharedlineError as exc:
            raise ApiError(503, "TAS-100", f"The party cannot be moved: {exc}") from exc
        documents = self._conference_document(conferences.get(conference_id)).parties
        return next(document for document in documents if document.id == party.party_id)

    # -- ends

    def end_session(self, session_id: str) -> None:
        """Hang up on everybody."""
        if (dialing := self._dialing.get(session_id)) is not None:
            dialing.give_up("ended by REST")
            return
        try:
            self._service.conferences.end(session_id)
        except ActionRefused:
            for call, _ in list(self._legs(session_id)):
                call.hang_up("ended by REST")

    # -- the parts

    def _legs(self, session_id: str) -> list[tuple[Call, Leg]]:
        """Return the ends of a session, and their calls.

        Raises:
            ApiError: If there is no such session.
        """
        found = [(call, leg) for call, leg in self._all() if call.ids(leg)[0] == session_id]
        if not found:
            raise not_found("telephonySessionId")
        return found

    def _all(self) -> Iterator[tuple[Call, Leg]]:
        for call in self._service.live_calls():
            for leg in (call.caller, *call.callees):
                yield call, leg

    def _find(self, session_id: str, party_id: str) -> tuple[Call, Leg]:
        legs = self._legs(session_id)
        named = ((call, leg) for call, leg in legs if call.ids(leg)[1] == party_id)
        found = next(named, None)
        if found is None:
            raise not_found("partyId")
        return found

    def _phone(self, owner: Subscriber, device_id: str) -> Phone:
        """Return one of the user's phones, which can be reached; the newest, if several are one device."""
        device = self._office.device_of(owner, device_id)
        phones = self._service.reachable(owner.extension.number)
        found = [phone for phone in phones if _is_of(phone, device)]
        if not found:
            raise wrong_state("the device is not registered")
        return found[-1]

    def _document(self, session_id: str) -> SessionDocument:
        documents: dict[str, PartyDocument] = {}
        for call, leg in self._legs(session_id):
            if not isinstance(leg, ServiceLeg):
                document = self._parties.document(call, leg)
                documents.setdefault(document.id, document)  # several phones of a callee are one party
        return SessionDocument(id=session_id, origin=Origin(type="Call"), parties=list(documents.values()))

    def _conference_document(self, conference: Conference) -> SessionDocument:
        parties = [
            self._parties.document(call, call.caller, party_id=party_id)
            for party_id, call in conference.calls.items()
        ]
        return SessionDocument(
            id=conference.session_id,
            origin=Origin(type="Conference"),
            parties=parties,
            voice_call_token=conference.number,
        )

    def _dialing_document(self, dialing: "Dialing") -> SessionDocument:
        party = self._parties.dialing(dialing.leg, dialing.target)
        session_id = dialing.leg.call_id.session_id
        return SessionDocument(id=session_id, origin=Origin(type="CallOut"), parties=[party])


def _rung(call: Call) -> list[PhoneLeg]:
    return [leg for leg in call.callees if isinstance(leg, PhoneLeg)]


def _is_of(phone: Phone, device: Subscriber) -> bool:
    return phone.subscriber.authorization_id == device.authorization_id


class Dialing(Ends):
    """A phone that is rung so that it calls ``target``, until it has answered."""

    def __init__(
        self,
        service: "Simulator",
        leg: DialingLeg,
        target: str,
        then: Callable[[Call], None],
        over: Callable[[], object],
    ) -> None:
        self.leg, self.target = leg, target
        self._service, self._then, self._over = service, then, over
        self._stop = service.later(service.settings.ring_time, lambda: self.give_up("nobody answered"))

    def give_up(self, reason: str) -> None:
        """Let the phone be."""
        self._stop()
        self._over()
        self.leg.end(reason)

    def answered(self, leg: Leg) -> None:
        """Call the target."""
        self._stop()
        self._over()
        subscriber = self.leg.phone.subscriber
        who = Caller(subscriber.extension.direct_number, subscriber.extension.display_name)
        self.leg.number = subscriber.extension.direct_number
        self._then(self._service.place(leg, self.target, who, self.leg.call_id))

    def refused(self, leg: Leg, status: int, reason: str) -> None:
        """Forget it: its user does not want to call."""
        self._stop()
        self._over()

    def ended(self, leg: Leg, reason: str) -> None:
        """Forget it."""
        self._stop()
        self._over()

    def ringing(self, leg: Leg) -> None:
        """Wait for the answer."""

    def sounds(self, leg: Leg) -> None:
        """Nobody listens yet."""

    def pressed(self, leg: Leg, key: str) -> None:
        """Nobody listens yet."""

    def referred(self, leg: PhoneLeg, request: Request, answer: Callable[[int], None]) -> None:
        """There is nobody to be transferred."""
        answer(491)

    def commanded(self, leg: PhoneLeg, message: AgentMessage) -> None:
        """There is no caller to send elsewhere."""

    def informed(self, leg: PhoneLeg, body: str) -> None:
        """There is nothing to be recorded or parked."""
