"""[core] What the REST side answers when it was ordered to do wrong: programs are to be tested, too."""

from ..fault_orders import RestAnswer
from .errors import ApiError

_CODES = {
    401: ("TokenInvalid", "Access token not found"),
    403: ("CMN-408", "Permission is missing"),
    429: ("CMN-301", "Request rate exceeded"),
    503: ("CMN-211", "Service Temporary Unavailable"),
}


def trouble(order: RestAnswer) -> ApiError:
    """Return the answer that was ordered."""
    code, message = _CODES.get(order.status, ("CMN-203", "Internal Server Error"))
    headers = {"Retry-After": str(order.retry_after)} if order.retry_after is not None else {}
    return ApiError(order.status, code, message, headers=headers)
