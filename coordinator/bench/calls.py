"""Calls: how long a press takes to be known at the service, and a new window to show a call."""

from agents.pbx.ledger import Entry
from shared.clock import boottime
from shared.phone import Phone

from .report import Row, timed
from .roles import NewcomerRole
from .stage import ANSWERED_CALLER, GROUP, Stage, soon


async def measure_calls(stage: Stage, phone: Phone) -> list[Row]:
    """Return ``answer_to_200``, ``join_to_call_visible`` and ``start_to_call_visible``."""
    return [await _answers(stage, phone), *await _joins(stage, phone)]


async def _answers(stage: Stage, phone: Phone) -> Row:
    """Answer at the window with sound, which is not the leader; its 200 is in the service's ledger."""
    times: list[float] = []
    for _ in range(stage.rounds(30)):
        robot = await stage.control.call("101", caller=ANSWERED_CALLER)
        (pressed,) = await stage.crew.reports(lambda report: report.event == "answered")
        answer = await stage.effect(pressed.began, _is_answer)
        times.append(answer.boottime - pressed.began)
        await stage.control.hang_up(robot.id)
        await soon(phone, lambda: not phone.calls)
    return timed("answer_to_200", times)


def _is_answer(entry: Entry) -> bool:
    return (entry.event, entry.method, entry.status, entry.direction) == ("RESPONSE", "INVITE", 200, "in")


async def _joins(stage: Stage, phone: Phone) -> list[Row]:
    """Join while a call rings: in a program that runs already, and as a command from its start."""
    robot = await stage.control.call("101")
    await soon(phone, lambda: bool(phone.calls))
    inside: list[float] = []
    for _ in range(stage.rounds(30)):
        stage.crew.start(NewcomerRole(name="newcomer", group=GROUP, account=stage.account))
        (report,) = await stage.crew.reports(lambda report: report.event == "call_visible")
        inside.append(report.at - report.began)
    whole: list[float] = []
    for _ in range(stage.rounds(10)):
        began = boottime()
        child = await stage.start_window("newcomer", "--no-sound", "--never-lead")
        line = await child.wait_for(lambda line: line["event"] == "inbound_call")
        whole.append(line["at"] - began)
        child.tell("quit")
        await child.ended()
    await stage.control.hang_up(robot.id)
    await soon(phone, lambda: not phone.calls)
    return [timed("join_to_call_visible", inside), timed("start_to_call_visible", whole)]
