"""Bodies of requests, read as the documents that they are to be."""

from typing import TypeVar

import msgspec
from starlette.requests import Request

from ..web import read_body
from .errors import ApiError, bad_parameter

T = TypeVar("T")


async def read(request: Request, kind: type[T]) -> T:
    """Return the body of a request.

    Raises:
        ApiError: If it is no such document; the text says what is wrong.
    """
    body = await read_body(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as exc:
        raise bad_parameter("body", str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ApiError(400, "CMN-100", f"The body is not JSON: {exc}") from exc
