"""router.aws.calls: what goes wrong in a call to AWS becomes the error that a channel raises."""

from typing import Any

import pytest
from botocore import exceptions

from router.aws.calls import answered, call
from router.errors import ChannelError, PayloadRejected, PermanentError, TransientError

ERRORS = {"Odd": PayloadRejected, "Throttling": PermanentError}


def client_error(code: str, status: int) -> exceptions.ClientError:
    answer = {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(answer, "Operation")


def failed(error: Exception) -> ChannelError:
    def operation(**_: Any) -> None:
        raise error

    with pytest.raises(ChannelError) as caught:
        call("Service", operation, ERRORS)
    return caught.value


def test_the_response_is_returned_and_the_arguments_are_passed_on() -> None:
    assert call("Service", lambda **given: given, ERRORS, One=1) == {"One": 1}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (client_error("Odd", 400), PayloadRejected),
        (client_error("Throttling", 429), PermanentError),
        (client_error("TooManyRequestsException", 400), TransientError),
        (client_error("InternalFailure", 400), TransientError),
        (client_error("ExpiredToken", 403), TransientError),
        (client_error("AccessDeniedException", 500), PermanentError),
        (client_error("New", 503), TransientError),
        (client_error("New", 429), TransientError),
        (client_error("New", 400), PermanentError),
        (exceptions.EndpointConnectionError(endpoint_url="x"), TransientError),
        (exceptions.ReadTimeoutError(endpoint_url="x"), TransientError),
        (exceptions.NoCredentialsError(), PermanentError),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_services_table_decides_then_that_of_all_services_then_the_status(
    error: Exception, expected: type[ChannelError]
) -> None:
    assert type(failed(error)) is expected


def test_an_error_has_the_status_and_the_words_of_aws() -> None:
    error = failed(client_error("Odd", 400))
    assert (error.status, error.answer, str(error)) == (400, "Odd: why", "Service answered Odd: why")


def test_only_a_connection_that_was_never_made_is_known_to_have_sent_nothing() -> None:
    refused, silent = (
        failed(error)
        for error in (exceptions.ConnectTimeoutError(endpoint_url="x"), exceptions.ReadTimeoutError(endpoint_url="x"))
    )
    assert isinstance(refused, TransientError)
    assert isinstance(silent, TransientError)
    assert (refused.unsent, silent.unsent) == (True, False)


def test_an_error_in_a_response_that_succeeded_is_told_by_its_code() -> None:
    assert isinstance(answered("Service", "InternalFailure", "", ERRORS, status=200), TransientError)
    assert isinstance(answered("Service", "New", "", ERRORS, status=200), PermanentError)
