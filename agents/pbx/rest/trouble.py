"""[core] Answers that the REST side is ordered to fail with, so that programs can be tested against them."""

from .errors import ApiError

_CODES = {
    401: ("TokenInvalid", "Access token not found"),
    403: ("CMN-408", "Permission is missing"),
    429: ("CMN-301", "Request rate exceeded"),
    503: ("CMN-211", "Service Temporary Unavailable"),
}


class Trouble:
    """What the next requests are answered with, whoever asks, and whatever for."""

    def __init__(self) -> None:
        self._left = 0
        self._error = ApiError(500, "CMN-203", "Internal Server Error")

    def order(self, status: int, *, times: int = 1, retry_after: int | None = None) -> None:
        """Fail the next ``times`` requests with an HTTP ``status``; 0 times ends it.

        ``retry_after``: seconds, for a header of that name.

        Raises:
            ValueError: If ``status`` is none of a failure.
        """
        if not 400 <= status <= 599:
            raise ValueError(f"{status} is no status of a failure")
        code, message = _CODES.get(status, ("CMN-203", "Internal Server Error"))
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
        self._left, self._error = times, ApiError(status, code, message, headers=headers)

    def next(self) -> ApiError | None:
        """Return what to answer this request with; None: what it asks for."""
        if self._left <= 0:
            return None
        self._left -= 1
        return self._error
