"""[core] What the REST side answers where it does not do what it was asked for.

Every such answer has ``errorCode`` and ``message``, and the same once more in a list ``errors``; those of the
login have ``error`` and ``error_description`` of OAuth, too (RFC 6749 §5.2).
"""

from collections.abc import Mapping
from typing import Any

from shared.errors import SharedlineError


class ApiError(SharedlineError):
    """An answer with an HTTP ``status`` from 400 on. ``oauth``: what OAuth calls the error, if it does."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        oauth: str | None = None,
        parameter: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.oauth, self.parameter, self.headers = oauth, parameter, dict(headers or {})

    def document(self) -> dict[str, Any]:
        """Return the body of the answer."""
        error = {"errorCode": self.code, "message": self.message}
        if self.parameter is not None:
            error["parameterName"] = self.parameter
        document: dict[str, Any] = {**error, "errors": [error]}
        if self.oauth is not None:
            document |= {"error": self.oauth, "error_description": self.message}
        return document


def bad_parameter(name: str, message: str) -> ApiError:
    """Return the answer to a parameter that cannot be used."""
    return ApiError(400, "CMN-101", f"Parameter [{name}] value is invalid: {message}", parameter=name)


def not_found(name: str) -> ApiError:
    """Return the answer to the name of something that there is not."""
    return ApiError(404, "CMN-102", f"Resource for parameter [{name}] is not found", parameter=name)


def not_allowed(message: str) -> ApiError:
    """Return the answer to who may not do what he asks for."""
    return ApiError(403, "CMN-408", message)


def wrong_state(message: str) -> ApiError:
    """Return the answer to what does not fit the state of a call."""
    return ApiError(409, "TAS-102", message)
