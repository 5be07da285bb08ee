from itertools import count
from typing import Any

import pytest

from agents.pbx.accounts import NumberPlan, Subscriber
from agents.pbx.gate import Gate, Refusal
from agents.pbx.registrar import Limits, Note, Reached, Registrar, Reply
from agents.pbx.settings import Extension
from agents.sip.digest import Credentials, authorize, parse_challenge
from agents.sip.message import Request, Response, parse

PASSWORDS = {"801": "secret-101", "802": "secret-102"}


def make_registrar(**limits: Any) -> Registrar:
    nonces, tags = count(1), count(1)
    plan = NumberPlan(
        [
            Subscriber(Extension("101", "16505550101"), "16505550100*101", "801", PASSWORDS["801"]),
            Subscriber(Extension("102", "16505550102"), "16505550100*102", "802", PASSWORDS["802"]),
        ],
        main_number="16505550100",
    )
    gate = Gate("sip.test", PASSWORDS.get, lambda: f"nonce{next(nonces)}", nonce_time=60.0)
    return Registrar("sip.test", plan, gate, lambda: f"tag{next(tags)}", Limits(**limits))


def make_register(
    instance: str = "line",
    *,
    extension: str = "101",
    expires: int | None = 60,
    authorization: str | None = None,
    contact: str | None = None,
    headers: str = "",
    uri: str = "sip:sip.test",
    host: str = "here.invalid",
) -> Request:
    if contact is None:
        contact = f'<sip:{instance}@{host};transport=wss>;+sip.instance="<urn:uuid:{instance}>"'
        contact += f";expires={expires}" if expires is not None else ""
    line = f"Contact: {contact}\r\n" if contact else ""
    credentials = f"Authorization: {authorization}\r\n" if authorization else ""
    aor = f"sip:16505550100*{extension}@sip.test"
    message = parse(
        f"REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/WSS {host};branch=z9hG4bK-1\r\n"
        f"From: <{aor}>;tag=f\r\nTo: <{aor}>\r\n"
        f"Call-Id: c1\r\nCSeq: 1 REGISTER\r\n{line}{headers}{credentials}\r\n"
    )
    assert isinstance(message, Request)
    return message


def replies(registrar: Registrar) -> list[Response]:
    return [effect.response for effect in registrar.effects() if isinstance(effect, Reply)]


def statuses(registrar: Registrar) -> list[int]:
    return [response.status for response in replies(registrar)]


def notes(registrar: Registrar) -> list[tuple[str, int | None]]:
    return [(one.event, one.facts.get("bindings")) for one in registrar.effects() if isinstance(one, Note)]


def answer(
    challenge: str, *, user: str = "801", password: str | None = None, realm: str | None = None
) -> str:
    parsed = parse_challenge(challenge)
    if realm is not None:
        parsed = parse_challenge(challenge.replace("sip.test", realm))
    credentials = Credentials(user, password or PASSWORDS[user])
    return authorize(parsed, credentials, method="REGISTER", uri="sip:sip.test", cnonce="")


def challenge_of(registrar: Registrar, flow: str, now: float, **parts: Any) -> str:
    registrar.register(make_register(**parts), flow, now)
    trying, challenge = replies(registrar)
    assert (trying.status, challenge.status) == (100, 401)
    return challenge.headers.get("Www-Authenticate") or ""


def registered(registrar: Registrar, instance: str, flow: str, now: float = 0.0, **parts: Any) -> None:
    user = "802" if parts.get("extension") == "102" else "801"
    credentials = answer(challenge_of(registrar, flow, now, instance=instance, **parts), user=user)
    registrar.register(make_register(instance, authorization=credentials, **parts), flow, now)
    assert statuses(registrar) == [100, 200]


def test_first_register_is_challenged_and_answered_with_the_lifetime_granted() -> None:
    registrar = make_registrar(expiry=47.0)

    challenge = challenge_of(registrar, "f1", 0.0)
    assert challenge == 'Digest realm="sip.test", nonce="nonce1"'
    registrar.register(make_register(authorization=answer(challenge)), "f1", 0.0)
    trying, ok = replies(registrar)
    assert (trying.status, ok.status) == (100, 200)
    assert ok.headers.get("Contact") == "<sip:line@here.invalid;transport=wss>;expires=47"
    assert ok.to.tag
    assert trying.to.tag is None


def test_refresh_on_the_same_flow_is_a_bare_200_and_prolongs_the_binding() -> None:
    registrar = make_registrar()
    registered(registrar, "line", "f1", now=0.0)

    registrar.register(make_register(), "f1", 50.0)
    assert statuses(registrar) == [200]
    registrar.tick(109.0)
    assert len(registrar.bindings("101")) == 1
    registrar.tick(110.0)
    assert registrar.bindings("101") == []
    assert notes(registrar) == [("BINDING_EXPIRED", 0)]


def test_refresh_of_another_extension_or_instance_on_the_flow_is_challenged() -> None:
    registrar = make_registrar()
    registered(registrar, "line", "f1")

    challenge_of(registrar, "f1", 1.0, instance="other")
    challenge_of(registrar, "f1", 1.0, extension="102")


def test_unregister_is_challenged_even_on_an_authenticated_flow() -> None:
    registrar = make_registrar()
    registered(registrar, "line", "f1")

    challenge = challenge_of(registrar, "f1", 1.0, expires=0)
    registrar.register(make_register(expires=0, authorization=answer(challenge)), "f1", 1.0)
    effects = registrar.effects()
    assert [one.response.status for one in effects if isinstance(one, Reply)] == [100, 200]
    assert [one.event for one in effects if isinstance(one, Note)] == ["UNREGISTER", "BINDING_REMOVED"]
    assert registrar.bindings("101") == []
    assert registrar.identity("f1") is None


def test_same_instance_replaces_and_the_older_flow_keeps_its_right_to_call() -> None:
    registrar = make_registrar()
    registered(registrar, "line", "f1", host="old.invalid")
    registered(registrar, "line", "f2", host="new.invalid")

    [binding] = registrar.bindings("101")
    assert (binding.flow, binding.via_host) == ("f2", "new.invalid")
    assert registrar.identity("f1") is not None


def test_a_process_that_was_replaced_cannot_unregister_its_successor() -> None:
    registrar = make_registrar()
    registered(registrar, "line", "f1", host="old.invalid")
    registered(registrar, "line", "f2", host="new.invalid")

    challenge = challenge_of(registrar, "f1", 1.0, expires=0, host="old.invalid")
    goodbye = make_register(expires=0, authorization=answer(challenge), host="old.invalid")
    registrar.register(goodbye, "f1", 1.0)
    assert statuses(registrar) == [100, 200]
    assert [binding.flow for binding in registrar.bindings("101")] == ["f2"]


def test_sixth_instance_is_refused_until_one_of_the_five_expires() -> None:
    registrar = make_registrar()
    for number in range(5):
        registered(registrar, f"i{number}", f"f{number}", now=float(number))

    registrar.register(make_register("i9"), "f9", 10.0)
    trying, refused = replies(registrar)
    assert (trying.status, refused.status, refused.reason) == (100, 603, "Too Many Contacts")
    assert refused.to.tag
    assert "Contact" not in refused.headers
    registered(registrar, "i9", "f9", now=60.0)


def test_of_two_that_were_challenged_for_the_fifth_place_the_second_is_refused() -> None:
    registrar = make_registrar(max_instances=1)
    credentials = answer(challenge_of(registrar, "late", 0.0, instance="late"))
    registered(registrar, "early", "early")

    registrar.register(make_register("late", authorization=credentials), "late", 1.0)
    assert statuses(registrar) == [100, 603]


def test_each_extension_has_its_own_five() -> None:
    registrar = make_registrar(max_instances=1)
    registered(registrar, "one", "f1")
    registered(registrar, "two", "f2", extension="102")

    assert len(registrar.bindings("101")) == len(registrar.bindings("102")) == 1


def test_wrong_password_wrong_realm_and_somebody_elses_account_are_forbidden() -> None:
    registrar = make_registrar()
    for credentials in ({"password": "wrong"}, {"realm": "evil.test"}, {"user": "802"}):
        challenge = challenge_of(registrar, "f1", 0.0)
        registrar.register(make_register(authorization=answer(challenge, **credentials)), "f1", 0.0)
        assert statuses(registrar) == [100, 403]
    registrar.register(make_register(authorization="Digest nonsense"), "f1", 0.0)
    assert statuses(registrar) == [100, 403]
    assert registrar.bindings("101") == []


def test_a_nonce_that_is_old_used_or_another_flows_is_stale() -> None:
    registrar = make_registrar()
    old = answer(challenge_of(registrar, "f1", 0.0))
    foreign = answer(challenge_of(registrar, "f2", 61.0))
    used = answer(challenge_of(registrar, "f1", 61.0))
    registrar.register(make_register(authorization=used), "f1", 61.0)
    assert statuses(registrar) == [100, 200]

    for credentials in (old, foreign, used):
        registrar.register(make_register(expires=0, authorization=credentials), "f1", 61.0)
        trying, challenge = replies(registrar)
        assert (trying.status, challenge.status) == (100, 401)
        assert (challenge.headers.get("Www-Authenticate") or "").endswith(", stale=true")


def test_a_closed_flow_leaves_its_binding_unreachable_and_the_next_flow_reaches_it() -> None:
    registrar = make_registrar()
    registered(registrar, "line", "f1")

    [lost] = registrar.flow_closed("f1", 5.0)
    assert lost.instance_id == "line"
    assert registrar.counts("101") == {"bindings": 1, "reachable": 0}
    assert registrar.identity("f1") is None
    assert notes(registrar) == [("BINDING_UNREACHABLE", 1)]
    credentials = answer(challenge_of(registrar, "f2", 6.0))
    registrar.register(make_register(authorization=credentials), "f2", 6.0)
    assert [one.binding.flow for one in registrar.effects() if isinstance(one, Reached)] == ["f2"]
    assert registrar.counts("101") == {"bindings": 1, "reachable": 1}


def test_a_flow_that_closes_after_it_was_replaced_takes_nothing_away() -> None:
    registrar = make_registrar()
    registered(registrar, "line", "f1")
    registered(registrar, "line", "f2")

    assert registrar.flow_closed("f1", 5.0) == []
    assert registrar.counts("101") == {"bindings": 1, "reachable": 1}


def test_expires_header_counts_where_the_contact_has_none() -> None:
    registrar = make_registrar()
    credentials = answer(challenge_of(registrar, "f1", 0.0, expires=None))
    request = make_register(expires=None, headers="Expires: 20\r\n", authorization=credentials)
    registrar.register(request, "f1", 0.0)

    assert (replies(registrar)[1].headers.get("Contact") or "").endswith(";expires=20")


def test_too_short_a_lifetime_is_answered_with_the_shortest_allowed() -> None:
    registrar = make_registrar(min_expiry=30.0)
    credentials = answer(challenge_of(registrar, "f1", 0.0, expires=10))
    registrar.register(make_register(expires=10, authorization=credentials), "f1", 0.0)

    refused = replies(registrar)[1]
    assert (refused.status, refused.headers.get("Min-Expires")) == (423, "30")


def test_register_without_contact_tells_the_bindings_and_star_removes_them() -> None:
    registrar = make_registrar()
    registered(registrar, "one", "f1")
    registered(registrar, "two", "f2", now=10.0)

    credentials = answer(challenge_of(registrar, "f3", 20.0, contact=""))
    registrar.register(make_register(contact="", authorization=credentials), "f3", 20.0)
    listed = replies(registrar)[1].headers.get_all("Contact")
    assert [contact.rpartition("=")[2] for contact in listed] == ["40", "50"]

    star: dict[str, Any] = {"contact": "*", "headers": "Expires: 0\r\n"}
    credentials = answer(challenge_of(registrar, "f3", 20.0, **star))
    registrar.register(make_register(authorization=credentials, **star), "f3", 20.0)
    assert statuses(registrar) == [100, 200]
    assert registrar.bindings("101") == []


@pytest.mark.parametrize(
    "parts", [{"contact": "*"}, {"contact": "<sip:a@b>, <sip:c@d>"}, {"contact": "nonsense"}, {"uri": "x"}]
)
def test_what_cannot_be_read_is_a_bad_request_that_says_why(parts: dict[str, Any]) -> None:
    registrar = make_registrar()
    registrar.register(make_register(**parts), "f1", 0.0)
    [refused] = replies(registrar)
    assert refused.status == 400
    assert refused.reason.startswith("Bad Request: ")


def test_another_domain_is_not_found() -> None:
    registrar = make_registrar()
    registrar.register(make_register(uri="sip:other.test"), "f1", 0.0)

    assert statuses(registrar) == [404]


def test_next_deadline_is_the_first_expiry() -> None:
    registrar = make_registrar()
    assert registrar.next_deadline() is None
    registered(registrar, "one", "f1", now=5.0)
    registered(registrar, "two", "f2", now=1.0)

    assert registrar.next_deadline() == 61.0


def test_a_binding_can_be_dropped_by_control() -> None:
    registrar = make_registrar()
    registered(registrar, "line", "f1")

    assert registrar.expire("101", "line")
    assert not registrar.expire("101", "line")
    assert registrar.bindings("101") == []
    assert registrar.identity("f1") is None


def test_the_ledger_is_told_the_status_and_never_a_credential() -> None:
    registrar = make_registrar()
    challenge = challenge_of(registrar, "f1", 0.0)
    registrar.register(make_register(authorization=answer(challenge)), "f1", 0.0)

    told = repr([effect for effect in registrar.effects() if isinstance(effect, Note)])
    assert "'status': 200" in told
    assert "nonce" not in told
    assert "secret" not in told + repr(registrar.plan.subscribers)


def test_a_fault_refuses_with_its_headers_and_changes_nothing() -> None:
    registrar = make_registrar()
    registered(registrar, "line", "f1")
    refusal = Refusal(503, None, [("Retry-After", "7")])
    registrar.register(make_register(expires=0), "f1", 1.0, refusal=refusal)

    [refused] = replies(registrar)
    assert (refused.status, refused.headers.get("Retry-After")) == (503, "7")
    assert len(registrar.bindings("101")) == 1


def test_a_service_that_starts_anew_knows_no_binding_and_says_so() -> None:
    registrar = make_registrar()
    registered(registrar, "one", "f1")
    registered(registrar, "two", "f2", extension="102")
    registrar.forget("service restarted")

    assert notes(registrar) == [("BINDING_REMOVED", 0), ("BINDING_REMOVED", 0)]
    assert registrar.identity("f1") is registrar.identity("f2") is None
    assert registrar.next_deadline() is None
    registered(registrar, "one", "f3", now=1.0)


def test_expiry_is_noticed_in_time_whatever_was_refreshed_before() -> None:
    registrar = make_registrar()
    registered(registrar, "one", "f1", now=0.0)
    registered(registrar, "two", "f2", now=10.0)
    registrar.register(make_register("one"), "f1", 50.0)
    registrar.effects()

    registrar.tick(69.9)
    assert [binding.instance_id for binding in registrar.bindings("101")] == ["one", "two"]
    registrar.tick(70.0)
    assert [binding.instance_id for binding in registrar.bindings("101")] == ["one"]
    registrar.tick(110.0)
    assert registrar.bindings("101") == []
