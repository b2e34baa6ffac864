"""One call of a channel to AWS. A failure becomes one of the errors that channels raise."""

from collections.abc import Callable, Mapping
from typing import Any

from router.errors import PermanentError, TransientError

Errors = Mapping[str, type[TransientError | PermanentError]]
"""AWS's error codes, and the error that each becomes."""

_OF_EVERY_SERVICE: Errors = {
    **dict.fromkeys(("Throttling", "ThrottlingException", "ThrottledException", "Throttled"), TransientError),
    **dict.fromkeys(("TooManyRequestsException", "RequestLimitExceeded", "SlowDown"), TransientError),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "RequestExpired"), TransientError),
    **dict.fromkeys(("InternalError", "InternalFailure", "InternalException", "ServiceUnavailable"), TransientError),
    **dict.fromkeys(("AccessDenied", "AccessDeniedException"), PermanentError),
}


def call(service: str, operation: Callable[..., Any], errors: Errors, **arguments: Any) -> Any:
    """Calls a client's operation once, and returns the response.

    Args:
        service: how error messages name the service, such as `SNS`.
        errors: what the error codes of this service mean; asked before the codes that all services share.

    Raises:
        TransientError: AWS throttles, failed or is unreachable.
        PermanentError: AWS refuses the call.
    """
    from botocore import exceptions  # noqa: PLC0415 - commands that do not call AWS should not load botocore

    try:
        return operation(**arguments)
    except exceptions.ClientError as error:
        failure = _refused(service, error.response, errors)
        raise failure from error
    except exceptions.ConnectionError as error:
        raise TransientError(f"no connection to {service}: {type(error).__name__}", unsent=True) from error
    except exceptions.HTTPClientError as error:
        raise TransientError(f"no answer from {service}: {type(error).__name__}") from error
    except exceptions.BotoCoreError as error:
        raise PermanentError(f"{service} could not be called: {type(error).__name__}") from error


def _refused(service: str, response: Mapping[str, Any], errors: Errors) -> TransientError | PermanentError:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code, text = (str(response.get("Error", {}).get(key, "")) for key in ("Code", "Message"))
    return answered(service, code, text, errors, status=status)


def answered(
    service: str, code: str, text: str, errors: Errors, *, status: int | None = None
) -> TransientError | PermanentError:
    """The error for an error code of AWS; for a code that no table has, the HTTP status decides."""
    may_pass = status is not None and (status == 429 or status >= 500)  # noqa: PLR2004 - HTTP's own numbers
    error = errors.get(code) or _OF_EVERY_SERVICE.get(code) or (TransientError if may_pass else PermanentError)
    return error(f"{service} answered {code}: {text[:200]}", status=status, answer=f"{code}: {text}")
