"""The phone's binding, against a service that challenges as RingCentral does."""

import pytest

from agents.sip.message import parse
from agents.sip.registration import CloseTransport, RegistrationChanged, refresh_delay

from .sip_pair import End
from .sip_service import NONCE, phone_and_service, registered_phone


def changes(end: End) -> list[tuple[str, int | None]]:
    taken, end.events[:] = list(end.events), []
    return [(event.state, event.status) for event in taken if isinstance(event, RegistrationChanged)]


def test_a_phone_registers_as_soon_as_it_is_connected() -> None:
    pair, phone, service = phone_and_service()

    phone.core.connected(pair.now)
    pair.run()

    assert phone.events == [
        RegistrationChanged("registering", None, None, "", None),
        RegistrationChanged("registered", 60.0, 200, "OK", None),
    ]
    assert phone.sent == ["REGISTER", "REGISTER"]
    assert service.sent == ["401 REGISTER", "200 REGISTER"]
    first, second = (parse(frame) for frame in phone.frames)
    assert first.call_id == second.call_id
    assert second.cseq.number == first.cseq.number + 1
    assert second.via.branch != first.via.branch
    assert list(second.headers)[-2][0] == "Authorization"


@pytest.mark.parametrize(("granted", "wait"), [(60, 57), (3600, 3420), (8, 5), (4, 2), (1, 0.5)])
def test_it_registers_again_before_the_granted_lifetime_ends(granted: int, wait: float) -> None:
    assert refresh_delay(granted) == wait
    pair, phone, service = phone_and_service()
    service.core.granted = granted
    phone.core.connected(pair.now)
    pair.run()
    changes(phone)

    pair.wait(wait - 0.1)
    assert len(phone.sent) == 2
    pair.wait(0.2)

    assert len(phone.sent) == 3
    assert service.sent[-1] == "200 REGISTER"
    assert changes(phone) == [("registered", 200)]


def test_a_refresh_may_be_challenged_too() -> None:
    pair, phone, service = phone_and_service()
    service.core.challenges_refresh = True
    phone.core.connected(pair.now)
    pair.run()

    pair.wait(58)

    assert service.sent == ["401 REGISTER", "200 REGISTER"] * 2
    assert phone.core.registration_state == "registered"


def test_leaving_is_challenged_and_answered() -> None:
    pair, phone, service = registered_phone()

    phone.core.unregister(pair.now)
    pair.run()

    assert service.sent == ["401 REGISTER", "200 REGISTER"]
    assert ";expires=0\r\n" in phone.frames[-1]
    assert changes(phone) == [("unregistered", 200)]
    pair.wait(300)
    assert len(phone.sent) == 2


def test_a_phone_that_has_left_says_nothing_more_when_its_old_binding_runs_out() -> None:
    pair, phone, _service = registered_phone()
    phone.core.unregister(pair.now)
    pair.wait(300)
    assert changes(phone) == [("unregistered", 200)]


def test_a_lifetime_of_nothing_is_asked_for_again_after_a_pause() -> None:
    pair, phone, service = phone_and_service()
    service.core.granted = 0
    phone.core.connected(pair.now)
    pair.run()
    assert phone.events[-1] == RegistrationChanged(
        "failed", None, 200, "the registrar granted no lifetime", 1.0
    )
    service.core.granted = 60
    pair.wait(1)
    assert phone.core.registration_state == "registered"


def test_a_registrar_that_finds_each_interval_too_brief_is_not_run_at() -> None:
    pair, phone, service = phone_and_service()
    service.core.register_status = (423, "Interval Too Brief")
    wishes = iter(range(100, 86_000))
    original = service.core._answer

    def answer(key, request, status, reason, headers):  # type: ignore[no-untyped-def]
        original(
            key, request, status, reason, [("Min-Expires", str(next(wishes)))] if status == 423 else headers
        )

    service.core._answer = answer
    phone.core.connected(pair.now)
    pair.run()
    assert len(phone.sent) < 10
    assert changes(phone)[-1] == ("failed", 423)


def test_a_service_that_does_not_answer_the_leaving_does_not_hold_it_up() -> None:
    pair, phone, service = registered_phone()
    service.core.silent = True

    phone.core.unregister(pair.now)
    pair.wait(5)

    assert changes(phone) == [("unregistered", None)]


def test_a_wrong_password_is_tried_once_and_not_again() -> None:
    pair, phone, service = phone_and_service()
    service.core._is_right = lambda request, name: False

    phone.core.connected(pair.now)
    pair.run()

    assert phone.sent == ["REGISTER", "REGISTER"]
    assert phone.events[-1] == RegistrationChanged("failed", None, 401, "Unauthorized", None)
    pair.wait(600)
    assert len(phone.sent) == 2


def test_a_stale_nonce_is_replaced_by_the_new_one() -> None:
    pair, phone, service = phone_and_service()
    phone.core.connected(pair.now)
    service.core.receive(parse(phone.core.effects()[1].text), pair.now)
    (challenge,) = service.core.effects()
    service.core.nonces, service.core.stale = ["fresh"], True
    phone.core.receive(challenge.text, pair.now)

    pair.run()

    assert phone.sent == ["REGISTER", "REGISTER"]
    assert 'nonce="fresh"' in phone.frames[-1]
    assert phone.core.registration_state == "registered"


def test_a_service_that_calls_every_nonce_stale_is_given_up() -> None:
    pair, phone, service = phone_and_service()
    service.core.stale = True
    service.core._is_right = lambda request, name: service.core.nonces.insert(
        0, f"n{len(service.core.nonces)}"
    )

    phone.core.connected(pair.now)
    pair.run()

    assert phone.sent == ["REGISTER"] * 3
    assert changes(phone)[-1] == ("failed", 401)


def test_a_challenge_of_another_realm_gets_no_hash_of_the_password() -> None:
    pair, phone, service = phone_and_service()
    service.core.realm = "evil.test"

    phone.core.connected(pair.now)
    pair.run()

    assert phone.sent == ["REGISTER"]
    assert changes(phone)[-1] == ("failed", 401)
    assert "Authorization" not in "".join(phone.frames)


def test_an_interval_that_is_too_brief_is_made_longer() -> None:
    pair, phone, service = phone_and_service()
    service.core.register_status = (423, "Interval Too Brief")
    service.core.register_headers = [("Min-Expires", "120")]
    service.core.granted = 120
    phone.core.connected(pair.now)
    service.core.receive(parse(phone.core.effects()[1].text), pair.now)
    pair.run()
    assert "expires=120" not in phone.frames[0]
    assert "expires=120" in phone.frames[-1]
    # A service that says so again and again is not obeyed for ever.
    assert changes(phone)[-1] == ("failed", 423)
    service.core.register_status = None
    pair.wait(3)
    assert phone.core.registration_state == "registered"


def test_too_many_contacts_is_told_and_tried_again_when_a_binding_may_have_run_out() -> None:
    pair, phone, service = phone_and_service()
    service.core.register_status = (603, "Too Many Contacts")

    phone.core.connected(pair.now)
    pair.run()

    assert phone.events[-1] == RegistrationChanged("failed", None, 603, "Too Many Contacts", 60.0)
    pair.wait(59)
    assert len(phone.sent) == 2
    service.core.register_status = None
    pair.wait(2)
    assert phone.core.registration_state == "registered"


def test_a_temporary_failure_is_tried_again_after_growing_pauses() -> None:
    pair, phone, service = phone_and_service()
    service.core.register_status = (500, "Server Internal Error")
    phone.core.connected(pair.now)
    pair.wait(90)

    pauses = [event.retry_after for event in phone.events if event.state == "failed"]
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    service.core.register_status = None
    pair.wait(60)
    assert phone.core.registration_state == "registered"


def test_the_service_may_say_how_long_to_wait() -> None:
    pair, phone, service = phone_and_service()
    service.core.register_status = (503, "Service Unavailable")
    service.core.register_headers = [("Retry-After", "18 (sorry);duration=60")]

    phone.core.connected(pair.now)
    pair.run()

    assert phone.events[-1].retry_after == 18
    pair.wait(17)
    assert len(phone.sent) == 2
    pair.wait(2)
    assert len(phone.sent) == 4


def test_a_registrar_that_does_not_answer_means_that_the_connection_is_dead() -> None:
    pair, phone, service = registered_phone()
    service.core.silent = True

    pair.wait(57 + 4.9)
    # The binding ran out at 60 s, and the phone does not claim otherwise.
    assert changes(phone) == [("registering", None)]
    pair.wait(0.2)

    assert isinstance(phone.events[-1], CloseTransport)
    assert changes(phone) == [("failed", None)]


def test_a_lost_connection_means_not_registered_and_the_next_one_registers_again() -> None:
    pair, phone, _service = registered_phone()

    phone.core.disconnected(pair.now)
    assert phone.core.effects() == [RegistrationChanged("unregistered", None, None, "connection lost", None)]
    pair.wait(100)
    assert phone.sent == []
    phone.core.connected(pair.now)
    pair.run()

    assert phone.core.registration_state == "registered"


@pytest.mark.parametrize(
    ("contact", "expires", "lifetime"),
    [
        ("<sip:other@x>;expires=9, {mine};expires=47", None, 47.0),
        ('<sip:other@x>;+sip.instance="<urn:uuid:the-instance>";expires=33', None, 33.0),
        ("<sip:other@x>;expires=9", "50", 50.0),
        ('<sip:other@x>;+sip.instance="<urn:uuid:the-instance-2>";expires=9', "50", 50.0),
        ("{mine}", "50", 50.0),
        ("{mine};expires=nonsense", None, 60.0),
        ("*", None, 60.0),
        ('"open', None, 60.0),
    ],
)
def test_the_lifetime_is_the_one_granted_to_our_contact(
    contact: str, expires: str | None, lifetime: float
) -> None:
    pair, phone, service = phone_and_service()
    phone.core.connected(pair.now)
    mine = (parse(phone.core.effects()[1].text).headers.get("Contact") or "").partition(";+")[0]
    pair, phone, service = phone_and_service()
    original = service.core._answer

    def answer(key, request, status, reason, headers):  # type: ignore[no-untyped-def]
        if status == 200:
            headers = [("Contact", contact.format(mine=mine))]
            headers += [("Expires", expires)] if expires else []
        original(key, request, status, reason, headers)

    service.core._answer = answer
    phone.core.connected(pair.now)
    pair.run()

    assert phone.events[-1] == RegistrationChanged("registered", lifetime, 200, "OK", None)


def test_an_answer_to_an_older_register_is_not_taken_for_this_ones() -> None:
    pair, phone, service = phone_and_service()
    phone.core.connected(pair.now)
    pair.run()
    old = service.frames[0]
    phone.core.unregister(pair.now)
    phone.core.effects()

    phone.core.receive(old, pair.now)

    assert phone.core.effects() == []
    assert NONCE in old
