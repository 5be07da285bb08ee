"""How the REST side names and shows the ends of calls."""

from typing import TYPE_CHECKING

from ..accounts import canonical
from ..calls import Call
from ..dialect import Caller
from ..legs import Leg
from ..phone_leg import PhoneLeg
from .call_documents import PartyDocument, Place, SipData, Status
from .documents import extension_id

if TYPE_CHECKING:
    from ..service import Simulator


class Parties:
    """Describes the ends of calls."""

    def __init__(self, service: "Simulator", account_id: int) -> None:
        self._service, self._account_id = service, str(account_id)

    def document(self, call: Call, leg: Leg, *, party_id: str | None = None) -> PartyDocument:
        """Return an end of a call."""
        is_caller = leg is call.caller
        far = call.far or next(iter(call.callees), None)
        return PartyDocument(
            id=party_id or call.ids(leg)[1],
            direction="Outbound" if is_caller else "Inbound",
            from_=self._place(call.who, call.caller),
            to=self._place(None, leg if not is_caller else far),
            status=Status(code=_status(leg)),
            account_id=self._account_id,
            extension_id=_extension_id(leg),
            sip_data=_sip_data(leg),
        )

    def dialing(self, leg: PhoneLeg, target: str) -> PartyDocument:
        """Return a phone that is to call ``target``, and has not answered yet."""
        return PartyDocument(
            id=leg.call_id.party_id(leg.place),
            direction="Outbound",
            from_=self._place(None, leg),
            to=_number(target),
            status=Status(code="Setup"),
            account_id=self._account_id,
            extension_id=_extension_id(leg),
        )

    def _place(self, who: Caller | None, leg: Leg | None) -> Place:
        number = who.number if who is not None else leg.number if leg is not None else ""
        place = _number(number)
        name = who.name if who is not None else ""
        if isinstance(leg, PhoneLeg):
            device = self._service.plan.by_authorization_id(leg.phone.subscriber.authorization_id)
            return Place(
                phone_number=place.phone_number,
                extension_number=leg.phone.extension,
                name=name or leg.phone.subscriber.extension.display_name,
                device_id=device.device_id if device is not None else None,
            )
        return Place(
            phone_number=place.phone_number, extension_number=place.extension_number, name=name or None
        )


def _number(number: str) -> Place:
    digits = number.removeprefix("+")
    if len(digits) >= 10 and digits.isdecimal():
        return Place(phone_number=f"+{canonical(number)}")
    return Place(extension_number=number)


def _status(leg: Leg) -> str:
    if leg.holds:
        return "Hold"
    state = getattr(leg, "state", "answered")
    return "Answered" if state == "answered" else "Proceeding"


def _extension_id(leg: Leg) -> str | None:
    return str(extension_id(leg.phone.extension)) if isinstance(leg, PhoneLeg) else None


def _sip_data(leg: Leg) -> SipData | None:
    """Return the tags of an answered phone, as its INVITE had them."""
    if not isinstance(leg, PhoneLeg) or leg.state != "answered":
        return None
    ours, theirs = leg.tags()
    return SipData(to_tag=ours, from_tag=theirs) if leg.is_caller else SipData(to_tag=theirs, from_tag=ours)
