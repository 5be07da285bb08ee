"""The checker: a run that kept its promises passes, and every way of breaking one is caught and proved."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from coordinator.command.cli import main
from coordinator.verify import Verdict, judge
from shared.errors import ConfigError

KEPT = {"P1", "P2", "P3", "P4", "P5", "P6", "P7"}


class Run:
    """A run that never was: a desk that leads, is killed at 120, and a kiosk that leads after it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lines: dict[str, list[dict[str, Any]]] = {"ledger.ndjson": []}

    def ledger(self, at: float, event: str, **facts: Any) -> None:
        self.lines["ledger.ndjson"].append({"at": at, "boottime": at, "event": event, **facts})

    def trace(self, instance: str, at: float, event: str, **facts: Any) -> None:
        name = f"{instance or 'trouble'}.trace.ndjson"
        self.lines.setdefault(name, []).append(
            {"boottime": at, "event": event, "instance": instance, **facts}
        )

    def shows(self, instance: str, at: float, epoch: int, sequence: int, *calls: Any, **facts: Any) -> None:
        leader = {1: "desk", 2: "kiosk"}[epoch]
        values = {"leader": leader, "number": "16505550100*101", "registration": "registered", "calls": calls}
        windows = ("desk", "kiosk") if epoch == 1 else ("kiosk",)
        values |= {"windows": windows}
        self.trace(instance, at, "SNAPSHOT", epoch=epoch, sequence=sequence, **values | facts)

    def registers(self, at: float, term: str, flow: str, *, status: int = 200, **facts: Any) -> None:
        who = {"extension": "101", "instance_id": "line", "via_host": term, "flow": flow}
        values = who | {"direction": "in", "status": status, "bindings": 1, "reachable": 1}
        self.ledger(at, "REGISTER", **values | facts)

    def judge(self) -> dict[str, Verdict]:
        for name, lines in self.lines.items():
            # A trace is in the order in which it was written; a ledger, too.
            ordered = sorted(lines, key=lambda line: line["boottime"])
            self.directory.joinpath(name).write_bytes(
                b"".join(msgspec.json.encode(line) + b"\n" for line in ordered)
            )
        return {verdict.promise: verdict for verdict in judge(self.directory)}

    def breach(self, promise: str) -> Verdict:
        """Return the verdict on a promise that was broken, and assert that it is the only one."""
        verdicts = self.judge()
        broken = {name for name, verdict in verdicts.items() if verdict.is_kept is False}
        assert broken == {promise}, [verdict.lines() for verdict in verdicts.values()]
        return verdicts[promise]


def call(state: str = "answered", **facts: Any) -> dict[str, Any]:
    values = {"call_id": "c", "state": state, "session_id": "s-1", "media_host": "kiosk"}
    return values | {"is_answered": state != "ringing"} | facts


@pytest.fixture
def run(tmp_path: Path) -> Run:
    it = Run(tmp_path)
    own = {"extension": "101", "instance_id": "line"}
    it.trace("desk", 100, "JOINED", pid=1)
    it.trace("desk", 100.1, "PROMOTED", epoch=1)
    it.registers(100.2, "term-1", "f1", status=401, bindings=0)
    it.registers(100.3, "term-1", "f1")
    it.ledger(100.3, "BINDING_ADDED", flow="f1", via_host="term-1", bindings=1, reachable=1, **own)
    it.trace("kiosk", 101, "JOINED", pid=2)
    for second in range(101, 120):
        it.trace("kiosk", second, "RESOURCES", memory_kb=30_000, descriptors=20, tasks=3, threads=5)
    for window in ("desk", "kiosk"):
        it.shows(window, 101.1, 1, 4)
        it.shows(window, 102.1, 1, 5, call("ringing"))
        it.shows(window, 103.2, 1, 6, call())
        it.shows(window, 105.1, 1, 7, call())
    # A call comes in, is answered at the kiosk, put on hold, and another one is made.
    it.ledger(102, "CALL_STARTED", call="k1", leg="r1", number="101", session_id="s-1")
    it.trace("kiosk", 103, "ASKED", action_id="a1", action="answer", call_id="c", wait=5.0)
    it.ledger(103.1, "RESPONSE", method="INVITE", status=200, direction="in", flow="f1", call="k1", **own)
    it.ledger(103.2, "CALL_ANSWERED", call="k1", leg="101-abc", instance_id="line")
    it.trace("kiosk", 103.3, "ANSWERED", action_id="a1", outcome="done", call_id="c")
    it.trace("kiosk", 104, "ASKED", action_id="a2", action="hold", call_id="c", wait=5.0)
    it.ledger(104.1, "LEG_HELD", call="k1", leg="101-abc", **own)
    it.trace("kiosk", 104.2, "ANSWERED", action_id="a2", outcome="done", call_id="c")
    it.trace("kiosk", 105, "ASKED", action_id="a3", action="dial", target="199", wait=5.0)
    it.ledger(105.1, "INVITE", direction="in", kind="initial", number="199", call_id="x", flow="f1", **own)
    it.ledger(105.2, "INVITE", direction="in", kind="initial", number="199", call_id="x", flow="f1", **own)
    it.trace("kiosk", 105.3, "ANSWERED", action_id="a3", outcome="done", call_id="d")
    # The desk dies; the kiosk goes on with the call.
    it.trace("", 120, "KILLED", pid=1)
    it.ledger(120.001, "FLOW_CLOSED", flow="f1", bindings=1, reachable=0, **own)
    it.ledger(120.002, "BINDING_UNREACHABLE", flow="f1", bindings=1, reachable=0, **own)
    it.ledger(120.003, "LEG_ADRIFT", call="k1", leg="101-abc", **own)
    it.trace("kiosk", 120.1, "PROMOTED", epoch=2)
    it.registers(120.2, "term-2", "f2")
    it.ledger(120.2, "BINDING_REPLACED", flow="f2", via_host="term-2", bindings=1, reachable=1, **own)
    it.ledger(120.3, "LEG_CONTINUED", call="k1", leg="101-abc", **own)
    it.shows("kiosk", 120.4, 2, 1, call())
    it.ledger(124, "CALL_ENDED", call="k1", reason="remote_bye")
    it.shows("kiosk", 124.1, 2, 2, call("disposed", cause="hung_up_there"))
    it.shows("kiosk", 125, 2, 3)
    it.trace("kiosk", 130, "LEFT")
    it.ledger(131, "BINDING_REMOVED", flow="f2", bindings=0, reachable=0, **own)
    return it


def test_a_run_that_kept_all_promises_passes(run: Run) -> None:
    verdicts = run.judge()
    assert {name for name, verdict in verdicts.items() if verdict.is_kept} == KEPT, verdicts
    assert "2 epochs with one leader each" in verdicts["P1"].text
    assert "3 actions: 3 done" in verdicts["P2"].text
    assert "longest 198 ms" in verdicts["P4"].text


# -- P1 ----------------------------------------------------------------------------------------------------


def test_two_leaders_of_one_epoch_are_caught(run: Run) -> None:
    run.trace("kiosk", 110, "PROMOTED", epoch=1)
    assert "led by two processes" in run.breach("P1").text


def test_an_epoch_that_falls_is_caught(run: Run) -> None:
    run.trace("kiosk", 99, "PROMOTED", epoch=3)
    assert "epoch 1 came after epoch 3" in run.breach("P1").text


def test_a_message_of_a_deposed_leader_is_caught(run: Run) -> None:
    run.ledger(121, "BYE", direction="in", extension="101", via_host="term-1", flow="f1", call_id="y")
    verdict = run.breach("P1")
    assert "deposed" in verdict.text
    assert any('"BYE"' in line and line.startswith("ledger.ndjson:") for line in verdict.proof)


def test_an_answer_of_a_deposed_leader_on_its_old_flow_is_caught(run: Run) -> None:
    run.ledger(121, "RESPONSE", direction="in", extension="101", flow="f1", method="BYE", status=200)
    assert "deposed" in run.breach("P1").text


def test_a_version_that_is_two_states_is_caught(run: Run) -> None:
    run.shows("desk", 106, 1, 8)
    run.shows("kiosk", 106, 1, 8, call())
    assert "two different states" in run.breach("P1").text


def test_a_state_that_its_epochs_leader_did_not_make_is_caught(run: Run) -> None:
    run.shows("kiosk", 106, 1, 8, call(), leader="kiosk")
    assert "not by its leader" in run.breach("P1").text


# -- P2 ----------------------------------------------------------------------------------------------------


def test_a_dial_that_took_effect_twice_is_caught(run: Run) -> None:
    own = {"extension": "101", "flow": "f1", "number": "199"}
    run.ledger(105.25, "INVITE", direction="in", kind="initial", call_id="again", **own)
    verdict = run.breach("P2")
    assert "199 was called once more than asked for" in verdict.text
    assert any('"again"' in line for line in verdict.proof)


def test_an_acknowledged_dial_without_an_invite_is_caught(run: Run) -> None:
    run.trace("kiosk", 106, "ASKED", action_id="a9", action="dial", target="198", wait=5.0)
    run.trace("kiosk", 106.1, "ANSWERED", action_id="a9", outcome="done", call_id="e")
    assert "no INVITE came" in run.breach("P2").text


def test_a_refused_dial_with_an_invite_is_caught(run: Run) -> None:
    run.trace("kiosk", 106, "ASKED", action_id="a9", action="dial", target="198", wait=5.0)
    run.ledger(106.1, "INVITE", direction="in", kind="initial", extension="101", number="198", call_id="z")
    run.trace("kiosk", 106.2, "ANSWERED", action_id="a9", outcome="refused", code="too_busy")
    assert "198 was called once more than asked for" in run.breach("P2").text


@pytest.mark.parametrize("invites", [0, 1])
def test_an_action_whose_outcome_is_unknown_may_or_may_not_have_had_its_effect(
    run: Run, invites: int
) -> None:
    run.trace("kiosk", 106, "ASKED", action_id="a9", action="dial", target="198", wait=5.0)
    run.trace("kiosk", 111, "ANSWERED", action_id="a9", outcome="unknown")
    for _ in range(invites):
        run.ledger(107, "INVITE", direction="in", kind="initial", extension="101", number="198", call_id="z")
    assert run.judge()["P2"].is_kept


def test_an_acknowledged_hold_that_never_came_is_caught(run: Run) -> None:
    run.trace("kiosk", 106, "ASKED", action_id="a9", action="unhold", call_id="c", wait=5.0)
    run.trace("kiosk", 106.1, "ANSWERED", action_id="a9", outcome="done", call_id="c")
    assert "unhold was acknowledged without effect" in run.breach("P2").text


def test_to_hold_what_is_held_needs_no_effect(run: Run) -> None:
    run.trace("kiosk", 106, "ASKED", action_id="a9", action="hold", call_id="c", wait=5.0)
    run.trace("kiosk", 106.1, "ANSWERED", action_id="a9", outcome="done", call_id="c")
    assert run.judge()["P2"].is_kept


def test_an_answer_that_took_effect_twice_is_caught(run: Run) -> None:
    run.ledger(103.25, "CALL_ANSWERED", call="k1", leg="101-def", instance_id="line")
    assert "CALL_ANSWERED once more than asked for" in run.breach("P2").text


def test_an_action_that_is_never_answered_is_caught(run: Run) -> None:
    run.trace("kiosk", 106, "ASKED", action_id="a9", action="dial", target="198", wait=5.0)
    assert "never answered" in run.breach("P2").text


def test_an_action_whose_process_died_needs_no_answer(run: Run) -> None:
    run.trace("desk", 119, "ASKED", action_id="a9", action="dial", target="198", wait=5.0)
    assert run.judge()["P2"].is_kept


# -- P3 ----------------------------------------------------------------------------------------------------


def test_a_window_that_goes_back_is_caught(run: Run) -> None:
    run.shows("kiosk", 126, 1, 7, call())
    assert "went back" in run.breach("P3").text


def test_a_window_that_left_without_having_seen_the_newest_state_is_caught(run: Run) -> None:
    run.trace("wall", 121, "JOINED", pid=3)
    run.shows("wall", 121.1, 2, 1, call())
    run.trace("wall", 129, "LEFT")
    run.lines["wall.trace.ndjson"][1]["calls"] = []
    run.lines["wall.trace.ndjson"][1]["sequence"] = 0
    assert "window wall did not come to version (2, 3)" in run.breach("P3").text


def test_a_window_that_lags_in_quiet_times_is_caught(run: Run) -> None:
    run.trace("", 107, "QUIET")
    run.trace("wall", 101, "JOINED", pid=3)
    run.shows("wall", 101.1, 1, 4)
    run.trace("wall", 110, "FULL")
    assert "window wall" in run.breach("P3").text


def test_a_window_that_is_stopped_need_not_follow(run: Run) -> None:
    run.trace("", 107, "QUIET")
    run.trace("wall", 101, "JOINED", pid=3)
    run.trace("", 102, "STOPPED", pid=3)
    run.shows("wall", 101.1, 1, 4)
    run.trace("wall", 110, "FULL")
    assert run.judge()["P3"].is_kept


# -- P4 ----------------------------------------------------------------------------------------------------


def test_a_second_binding_is_caught(run: Run) -> None:
    run.registers(106, "term-1", "f1", bindings=2)
    assert "had 2 bindings" in run.breach("P4").text


def test_a_second_instance_id_is_caught(run: Run) -> None:
    run.registers(126, "term-2", "f2", instance_id="other")
    assert "2 instances" in run.breach("P4").text


def test_a_phone_that_is_out_of_reach_for_too_long_is_caught(run: Run) -> None:
    for line in run.lines["ledger.ndjson"]:
        if line["event"] == "BINDING_REPLACED":
            line["boottime"] = 123.0
    assert "3.00 s" in run.breach("P4").text


def test_nobody_need_be_registered_while_no_process_lives(run: Run) -> None:
    run.lines["kiosk.trace.ndjson"] = [
        line for line in run.lines["kiosk.trace.ndjson"] if line["boottime"] < 120
    ]
    run.trace("", 120, "KILLED", pid=2)
    run.lines["ledger.ndjson"] = [line for line in run.lines["ledger.ndjson"] if line["boottime"] < 120.1]
    run.ledger(150, "FLOW_OPENED", flow="f3")
    assert run.judge()["P4"].is_kept


# -- P5 ----------------------------------------------------------------------------------------------------


def test_a_call_that_is_lost_although_its_sound_lives_is_caught(run: Run) -> None:
    lost = call("disposed", cause="lost", is_answered=True)
    run.lines["kiosk.trace.ndjson"] = [
        line
        for line in run.lines["kiosk.trace.ndjson"]
        if (line["event"], line.get("epoch")) != ("SNAPSHOT", 2)
    ]
    run.shows("kiosk", 121, 2, 1, lost)
    assert "although the process with its sound lived" in run.breach("P5").text
    # The far end had hung up, and the leader died before it could tell.
    run.ledger(119.9, "BYE", direction="out", extension="101", call="k1")
    assert run.judge()["P5"].is_kept


def test_a_call_that_is_over_but_shown_on_is_caught(run: Run) -> None:
    run.lines["kiosk.trace.ndjson"] = [
        line for line in run.lines["kiosk.trace.ndjson"] if line["boottime"] not in (124.1, 125)
    ]
    run.shows("kiosk", 127, 2, 2, call("disposed", cause="hung_up_there"))
    assert "went on to show call c" in run.breach("P5").text


def test_a_call_whose_sound_died_but_that_is_shown_on_is_caught(run: Run) -> None:
    for name in ("desk", "kiosk"):
        for line in run.lines[f"{name}.trace.ndjson"]:
            line["calls"] = [view | {"media_host": "desk"} for view in line.get("calls", ())]
    assert "went on to show call c" in run.breach("P5").text


def test_a_call_that_nobody_continues_is_caught(run: Run) -> None:
    run.lines["ledger.ndjson"] = [
        line for line in run.lines["ledger.ndjson"] if line["event"] != "LEG_CONTINUED"
    ]
    assert "was left alone" in run.breach("P5").text


# -- P6 and P7 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grown", [{"memory_kb": 190_000}, {"descriptors": 300}, {"tasks": 400}, {"threads": 50}], ids=str
)
def test_a_process_that_grows_is_caught(run: Run, grown: dict[str, int]) -> None:
    settled = {"memory_kb": 30_000, "descriptors": 20, "tasks": 3, "threads": 5}
    run.trace("kiosk", 119.5, "RESOURCES", **settled | grown)
    assert "grew" in run.breach("P6").text


@pytest.mark.parametrize(
    "leak",
    [
        "canary-password",
        "the token is canary-token",
        'Digest username="x", response="0123456789abcdef0123456789abcdef"',
        "a=ice-pwd:0123456789",
        "Authorization: Bearer abcdefghijkl",
    ],
)
def test_a_secret_in_a_log_is_caught_and_not_quoted(run: Run, leak: str) -> None:
    run.directory.joinpath("101.json").write_text('{"sipInfo": [{"password": "canary-password"}]}')
    run.directory.joinpath("control.json").write_text('{"token": "canary-token"}')
    run.directory.joinpath("window.log").write_text(f"all is well\n{leak}\n")
    verdict = run.breach("P7")
    assert "window.log:2" in verdict.text
    assert leak not in "\n".join(verdict.lines())


# -- what cannot be told -----------------------------------------------------------------------------------


def test_without_traces_only_what_the_ledger_tells_is_decided(run: Run) -> None:
    run.lines = {"ledger.ndjson": run.lines["ledger.ndjson"]}
    verdicts = run.judge()
    assert {name for name, verdict in verdicts.items() if verdict.is_kept} == {"P1", "P4", "P7"}
    assert {name for name, verdict in verdicts.items() if verdict.is_kept is None} == {"P2", "P3", "P5", "P6"}


def test_a_torn_last_line_is_left_out(run: Run) -> None:
    run.judge()
    with run.directory.joinpath("desk.trace.ndjson").open("ab") as file:
        file.write(b'{"boottime":120,"eve')
    assert {verdict.promise for verdict in judge(run.directory) if verdict.is_kept} == KEPT


def test_nothing_to_judge_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither a ledger\.ndjson nor a trace"):
        judge(tmp_path)
    with pytest.raises(ConfigError, match="no directory"):
        judge(tmp_path / "nowhere")


def test_a_file_that_is_no_ledger_is_an_error_that_names_the_line(run: Run) -> None:
    run.judge()
    run.directory.joinpath("ledger.ndjson").write_bytes(b'{"at":1,"boottime":1,"event":"X"}\n[]\n')
    with pytest.raises(ConfigError, match=r"ledger\.ndjson:2 cannot be read"):
        judge(run.directory)


def test_the_command_prints_a_line_a_promise_and_fails_if_one_was_broken(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.judge()
    assert main(["verify", str(run.directory)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines] == [f"P{number} passed" for number in range(1, 8)]
    run.trace("kiosk", 110, "PROMOTED", epoch=1)
    run.judge()
    assert main(["verify", str(run.directory)]) == 1
    assert capsys.readouterr().out.startswith("P1 VIOLATED: epoch 1 was led by two processes\n   desk.trace")
