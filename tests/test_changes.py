"""What changes of a call's sound leave behind when they are refused, cross, or bring more than sound."""

import pytest

from agents.sip.dialog import Endpoint
from agents.sip.message import Request as SipRequest
from agents.sip.message import parse
from agents.sip.sdp import Sdp
from agents.sip.transaction import Send
from shared.messages import (
    ApplyAnswer,
    Dial,
    Done,
    Hold,
    MakeOffer,
    MediaDone,
    Problem,
    ReInvite,
    ShapeMedia,
    Unhold,
)

from .fakes import DESK, FAR_ANSWER, FAR_HELD, FAR_OFFER, HOST_OFFER, KIOSK, Rig
from .talks import answered_call, live, refused
from .test_anchors import SURVIVORS, die

VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n"


def said(rig: Rig) -> list[Sdp]:
    """Return our descriptions in the order in which they left."""
    return [Sdp.parse(message.body) for message in map(parse, rig.frames) if message.body[:4] == "v=0\r"]


def offer_new_sound(rig: Rig) -> None:
    """Let the host describe the new connection that it was asked for."""
    waiting, rig.unanswered = rig.unanswered, []
    for _, command in waiting:
        sdp = HOST_OFFER.replace("ufrag:host", "ufrag:new") if isinstance(command, MakeOffer) else ""
        rig.core.media_done(MediaDone(epoch=rig.epoch, command_id=command.command_id, sdp=sdp), rig.now)
    rig.run()


def test_a_hold_after_a_refused_new_connection_is_of_the_connection_that_there_is() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.host_answers, rig.reinvite_status = False, 488
    request = rig.ask(ReInvite(call_id=call_id))
    rig.run()
    offer_new_sound(rig)
    refused(rig.answer_to(request), "far_end")
    rig.host_answers, rig.reinvite_status = True, 200

    assert isinstance(rig.do(Hold(call_id=call_id)), Done)

    offers = said(rig)[-2:]
    assert [offer.attribute("ice-ufrag") for offer in offers] == ["new", "host"]
    assert offers[0].version < offers[1].version


def test_a_change_of_the_far_ends_that_crosses_ours_is_answered_for_the_connection_that_there_is() -> None:
    rig = Rig()
    rig.do(Dial(target="102"))
    far, call_id = rig.pick_up(), rig.call().call_id
    rig.host_answers = False
    request = rig.ask(ReInvite(call_id=call_id))
    rig.run()
    rig.far.reinvite(far, FAR_HELD, rig.now)
    offer_new_sound(rig)  # both offers are under way now; who did not call has the next turn
    offer, rig.host_answers = said(rig)[-1], True
    live(rig, 2, SURVIVORS)
    rig.far.tick(rig.now)
    rig.run()
    live(rig, 4, SURVIVORS)

    answer, again = said(rig)[-2:]
    assert [one.attribute("ice-ufrag") for one in (offer, answer, again)] == ["new", "host", "new"]
    assert offer.version < answer.version < again.version
    assert isinstance(rig.answer_to(request), Done)
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)
    assert said(rig)[-1].attribute("ice-ufrag") == "new"
    assert said(rig)[-1].version > again.version


def test_an_answer_has_as_many_sections_as_the_offer_and_refuses_all_but_sound() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.far.reinvite(rig.far.live()[0].session_id, FAR_OFFER.replace("1 1 IN", "1 2 IN") + VIDEO, rig.now)
    rig.run()

    refused = ("m=video 0 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", "a=mid:1")  # RFC 8866 §5.7
    assert said(rig)[-1].lines[-3:] == refused
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)
    assert [line.split()[1] for line in said(rig)[-1].lines if line[:2] == "m="] == ["9", "0"]


def answer_in_ack(rig: Rig, sdp: str) -> None:
    """Let the far end ask for our offer, and answer it in its ACK."""
    rig.far.reinvite(rig.far.live()[0].session_id, "", rig.now)
    (invite,) = (effect.message for effect in rig.far.effects() if isinstance(effect, Send))
    assert isinstance(invite, SipRequest)
    rig.is_cut = True  # the session layer of the tests' far end makes no such ACK
    rig.core.received(invite.encode(), rig.now)
    rig.run()
    dialog = rig.far.live()[0].dialog
    assert dialog is not None
    ack = dialog.ack(invite, Endpoint("far.invalid", "<sip:far@far.invalid>"), "ack")
    ack.body = sdp
    rig.core.received(ack.encode(), rig.now)
    rig.run()


@pytest.mark.parametrize(("direction", "is_held"), [("inactive", True), ("sendrecv", False)])
def test_an_answer_in_an_ack_may_hold_us(direction: str, is_held: bool) -> None:
    rig = Rig()
    answered_call(rig)

    answer_in_ack(rig, FAR_ANSWER.replace("sendrecv", direction))

    assert rig.call().held_by_remote is is_held
    assert rig.kinds() == ["ApplyAnswer"]


def test_an_answer_in_an_ack_from_somebody_else_has_a_connection_of_its_own() -> None:
    rig = Rig()
    answered_call(rig)

    answer_in_ack(rig, FAR_ANSWER.replace("ufrag:far", "ufrag:other"))

    assert rig.kinds() == ["MakeOffer"]
    assert rig.sip[-1] == "INVITE"


def test_a_far_end_that_changes_a_call_while_it_moves_does_not_stop_the_move() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.host_answers = False
    die(rig, KIOSK.instance)
    change = FAR_OFFER.replace("ufrag:far", "ufrag:new").replace("1 1 IN", "1 2 IN")
    rig.far.reinvite(rig.far.live()[0].session_id, change, rig.now)
    rig.run()
    rig.host_answers = True
    rig.answer_media()
    live(rig, 5, SURVIVORS)

    assert rig.call().media_host == DESK.instance
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_change_that_is_withdrawn_when_its_sound_is_ready_is_followed_by_one_of_ours(is_cut: bool) -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.host_answers = False
    change = FAR_OFFER.replace("ufrag:far", "ufrag:new").replace("1 1 IN", "1 2 IN")
    rig.far.reinvite(rig.far.live()[0].session_id, change, rig.now)
    (invite,) = (effect.message for effect in rig.far.effects() if isinstance(effect, Send))
    assert isinstance(invite, SipRequest)
    rig.core.received(invite.encode(), rig.now)
    rig.run()
    if is_cut:
        rig.core.disconnected(Problem.UNREACHABLE, "cut", rig.now)
        rig.far.disconnected(rig.now)
    else:
        cancel = invite.headers.copy()
        cancel.set("CSeq", f"{invite.cseq.number} CANCEL")
        rig.core.received(SipRequest("CANCEL", invite.uri, cancel).encode(), rig.now)
        rig.run()
    rig.host_answers = True
    rig.kinds()
    rig.answer_media()  # for that the host let go of the connection that there was

    if is_cut:
        rig.core.connected(rig.now)
        rig.run()

    assert rig.kinds() == ["MakeOffer", "ApplyAnswer"]
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)


def test_nobody_changes_roles_on_the_connection_that_there_is() -> None:
    rig = Rig()
    rig.do(Dial(target="102"))
    far = rig.pick_up()  # it answers "active", so we wait for its handshake
    for number in (2, 3):
        rig.far.reinvite(far, FAR_HELD.replace("1 2 IN", f"1 {number} IN"), rig.now)
        rig.run()
        assert said(rig)[-1].attribute("setup") == "passive"


def test_a_role_outlasts_our_own_offers() -> None:
    rig = Rig()
    call_id = answered_call(rig)  # we answered "active"
    for action in (Hold(call_id=call_id), Unhold(call_id=call_id)):
        assert isinstance(rig.do(action), Done)
        assert said(rig)[-1].attribute("setup") == "actpass"
    rig.far.reinvite(rig.far.live()[0].session_id, FAR_HELD, rig.now)
    rig.run()
    assert said(rig)[-1].attribute("setup") == "active"


def test_a_new_connection_has_roles_of_its_own() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    assert isinstance(rig.do(ReInvite(call_id=call_id)), Done)  # the far end answers "active"
    rig.far.reinvite(rig.far.live()[0].session_id, FAR_HELD, rig.now)
    rig.run()
    assert said(rig)[-1].attribute("setup") == "passive"


def test_a_call_that_the_far_end_holds_is_held_by_being_inactive() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    rig.far.reinvite(rig.far.live()[0].session_id, FAR_HELD, rig.now)
    rig.run()
    assert rig.call().held_by_remote
    directions = []
    for action in (Hold(call_id=call_id), Unhold(call_id=call_id)):
        assert isinstance(rig.do(action), Done)
        directions.append(said(rig)[-1].direction)
    assert directions == ["inactive", "sendrecv"]  # RFC 3264 §8.4


def test_nothing_is_sent_to_a_far_end_that_holds_until_it_takes_the_call_again() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    far = rig.far.live()[0].session_id
    rig.commands.clear()

    for number, direction in ((2, "sendonly"), (3, "sendrecv"), (4, "inactive")):
        offer = FAR_OFFER.replace("1 1 IN", f"1 {number} IN").replace("sendrecv", direction)
        rig.far.reinvite(far, offer, rig.now)
        rig.run()
        applied = rig.commands[-1][1]
        assert isinstance(applied, ApplyAnswer)
        assert Sdp.parse(applied.sdp).direction == direction
    assert len(rig.commands) == 3

    assert isinstance(rig.do(Unhold(call_id=call_id)), Done)  # it is not held here: nothing is asked
    assert len(rig.commands) == 3


def test_a_far_end_that_takes_the_call_again_by_its_answer_hears_us() -> None:
    rig = Rig()
    call_id = answered_call(rig)
    assert isinstance(rig.do(Hold(call_id=call_id)), Done)
    rig.far.reinvite(rig.far.live()[0].session_id, FAR_HELD, rig.now)
    rig.run()
    rig.commands.clear()

    assert isinstance(rig.do(Unhold(call_id=call_id)), Done)

    assert not rig.call().held_by_remote
    assert [type(command) for _, command in rig.commands] == [ApplyAnswer, ShapeMedia]


@pytest.mark.parametrize(
    ("formats", "is_asked"),
    [
        ("111 101", False),
        ("0 111", False),
        ("0 8", True),
        ("96", True),
        ("111\r\na=rtpmap:111 speex/8000", True),
    ],
)
def test_a_far_end_that_takes_none_of_our_formats_any_more_is_answered_by_the_host(
    formats: str, is_asked: bool
) -> None:
    rig = Rig()
    answered_call(rig)
    rig.commands.clear()

    offer = FAR_OFFER.replace("1 1 IN", "1 2 IN").replace("SAVPF 111 101\r\n", f"SAVPF {formats}\r\n")
    rig.far.reinvite(rig.far.live()[0].session_id, offer, rig.now)
    rig.run()

    assert rig.kinds() == ["MakeAnswer" if is_asked else "ApplyAnswer"]
    assert rig.sip[-1] == "200 INVITE"
