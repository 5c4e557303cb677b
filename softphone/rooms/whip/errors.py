"""What the gateway refuses, with the status that says so."""

from collections.abc import Mapping

from softphone.errors import RemoteProtocolError
from softphone.signaling.errors import error_code

__all__ = ["RequestRefusedError", "refusal"]

_STATUSES: Mapping[str, int] = {
    "unauthorized": 401,
    "token-expired": 401,
    "wrong-room": 403,
    "barred": 403,
    "locked": 403,
    "bad-name": 400,
    "room-full": 503,
    "lobby-full": 503,
    "server-full": 503,
    "engine": 503,
}
_RETRY_AFTER = "10"


class RequestRefusedError(RemoteProtocolError):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def refusal(error: RemoteProtocolError) -> RequestRefusedError:
    """The answer for an error of the room."""
    if isinstance(error, RequestRefusedError):
        return error
    status = _STATUSES.get(error_code(error), 400)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="rooms"'
    elif status == 503:
        headers["Retry-After"] = _RETRY_AFTER
    return RequestRefusedError(status, str(error), headers)
