"""What the REST side is asked for, done at the service. Use it on the service's event loop."""

from typing import TYPE_CHECKING

from shared.clock import wall

from ..accounts import Subscriber, sip_info
from .documents import (
    AccountDocument,
    Describer,
    DeviceDocument,
    ExtensionDocument,
    PhoneNumber,
    ProvisionDocument,
    ProvisionRequest,
    Records,
    records,
)
from .errors import bad_parameter, not_found

if TYPE_CHECKING:
    from ..service import Simulator

_TRANSPORT = "WSS"
_FLAGS = {"voipFeatureEnabled": True, "voipCountryBlocked": False, "outboundCallsEnabled": True}
_FATAL = ["403", "404", "502", "504", "603"]


class Office:
    """Each method is asked by the user of an extension, whose account-file device is ``owner``.

    Methods raise :exc:`~agents.pbx.rest.errors.ApiError`.
    """

    def __init__(self, service: "Simulator", server: str) -> None:
        self._service = service
        self._describe = Describer(server, service.settings.main_number)

    def now(self) -> float:
        """Return Unix seconds."""
        return wall()

    def user(self, extension: str) -> Subscriber:
        """Return whose extension this is."""
        return self._service.plan.subscribers[extension]

    def account_id(self) -> int:
        """Return the account's id."""
        return self._describe.account

    def account(self) -> AccountDocument:
        """Return the account."""
        return self._describe.account_document()

    def extension(self, owner: Subscriber) -> ExtensionDocument:
        """Return an extension."""
        return self._describe.extension(owner)

    def phone_numbers(self, owner: Subscriber) -> Records[PhoneNumber]:
        """Return what an extension may show as its number."""
        return self._describe.phone_numbers(owner)

    def devices(self, owner: Subscriber) -> Records[DeviceDocument]:
        """Return the devices of an extension."""
        found = [self._device(device) for device in self._service.devices.of(owner.extension.number)]
        return records(f"{self._describe.extension_uri(owner)}/device", found)

    def provision(self, owner: Subscriber, request: ProvisionRequest) -> ProvisionDocument:
        """Return what a new device, or the one that is named, has to know to register."""
        for wanted in request.sip_info:
            if wanted.transport != _TRANSPORT:
                raise bad_parameter("sipInfo.transport", f"{wanted.transport} is not offered, only WSS")
        if request.device is not None:
            device = self.device_of(owner, request.device.id)
        else:
            device = self._service.devices.provision(owner.extension.number)
        info = sip_info(self._service.settings, device, wss_port=self._service.wss_port)
        return ProvisionDocument(
            device=self._device(device), sip_info=[info], sip_flags=_FLAGS, sip_error_codes=_FATAL
        )

    def device_of(self, owner: Subscriber, device_id: str) -> Subscriber:
        """Return one of an extension's own devices."""
        device = self._service.devices.get(device_id)
        if device is None or device.extension != owner.extension:
            raise not_found("deviceId")
        return device

    def _device(self, device: Subscriber) -> DeviceDocument:
        bindings = self._service.registrar.bindings(device.extension.number)
        online = any(
            binding.reachable and binding.authorization_id == device.authorization_id for binding in bindings
        )
        return self._describe.device(device, is_online=online)
