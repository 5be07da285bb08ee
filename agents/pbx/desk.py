"""What the control API does: looks at the service, and makes robots and faults."""

from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import ActionRefused, SharedlineError

from .dialect import Caller, CallName
from .fault_orders import AnyOrder, FaultView, Restart
from .robots import SOUNDS
from .views import BindingView, CallView, FlowView, RobotCall, RobotState, RobotView

if TYPE_CHECKING:
    from .service import Simulator


class Desk:
    """See :class:`~agents.pbx.control.Controlled`. Use it on the service's event loop."""

    def __init__(self, service: "Simulator") -> None:
        self._service = service

    def bindings(self, extension: str) -> list[BindingView]:
        """Return an extension's bindings."""
        if extension not in self._service.plan.subscribers:
            raise ActionRefused("no_such_call", f"there is no extension {extension!r}")
        now = self._service.now()
        self._service.registrar.tick(now)
        self._service.drain_registrar()
        return [
            BindingView(
                extension=extension,
                instance_id=binding.instance_id,
                contact=str(binding.contact),
                flow=binding.flow,
                via_host=binding.via_host,
                expires_in=round(binding.expires_at - now, 3),
                reachable=binding.reachable,
            )
            for binding in self._service.registrar.bindings(extension)
        ]

    def expire(self, extension: str, instance_id: str) -> None:
        """Drop a binding."""
        if not self._service.registrar.expire(extension, instance_id):
            raise ActionRefused("no_such_call", f"extension {extension} has no binding {instance_id!r}")
        self._service.drain_registrar()

    def flows(self) -> list[FlowView]:
        """Return the open flows."""
        views = []
        for flow in self._service.server.flows:
            identity = self._service.registrar.identity(flow)
            views.append(
                FlowView(flow=flow)
                if identity is None
                else FlowView(
                    flow=flow,
                    extension=identity.extension,
                    instance_id=identity.instance_id,
                    via_host=identity.via_host,
                )
            )
        return views

    def drop(self, flow: str) -> None:
        """Cut a flow."""
        if flow not in self._service.server.flows:
            raise ActionRefused("no_such_call", f"there is no flow {flow!r}")
        self._service.server.flows[flow].abort()

    def faults(self) -> list[FaultView]:
        """Return the faults in force."""
        return self._service.faults.all()

    def set_fault(self, order: AnyOrder) -> FaultView:
        """Begin a fault."""
        return self._service.faults.set(order)

    def clear_fault(self, fault: str) -> None:
        """End a fault."""
        self._service.faults.clear(fault)

    def clear_faults(self) -> None:
        """End all faults."""
        self._service.faults.clear_all()

    async def restart(self, order: Restart) -> None:
        """Restart in place."""
        await self._service.restarts.restart(order)

    def calls(self) -> list[CallView]:
        """Return the calls."""
        return [call.view() for call in self._service.live_calls()]

    async def robot_call(self, order: RobotCall) -> str:
        """Let a robot call; return its id."""
        play = Path(order.play) if order.play is not None else SOUNDS / "greeting.wav"
        if not play.is_file():
            raise ActionRefused("bad_request", f"there is no WAV file {play}")
        robot = self._service.robots.make(order.from_, calls=True, play=play)
        try:
            robot.open()
        except SharedlineError as exc:
            robot.end(str(exc))
            raise ActionRefused("bad_request", f"the robot cannot call: {exc}") from exc
        who = Caller(order.from_, order.name)
        name = CallName(self._service.new_id())
        self._service.place(robot, order.to, who, name, answer_after=order.answer_after)
        return robot.name

    def robots(self) -> list[RobotView]:
        """Return the robots."""
        return [robot.robot_view() for robot in self._service.robots.all()]

    def robot(self, robot: str) -> RobotView:
        """Return one robot."""
        return self._service.robots.get(robot).robot_view()

    async def robot_until(self, robot: str, state: RobotState, within: float) -> RobotView:
        """Return a robot once it is in ``state`` or past it, or time is up."""
        return (await self._service.robots.until(robot, state, within)).robot_view()

    async def robot_hangup(self, robot: str) -> None:
        """Let a robot hang up, and wait until its recording is finished."""
        found = self._service.robots.get(robot)
        found.hang_up()
        await found.drained()
