"""Errors of the AWS SDK, as the person at the keyboard reads them: one line, with what to do."""

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from router.cli.aws_errors import explained
from router.errors import HistoryUnavailable


def answered(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeStacks")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.NoRegionError(), "pass --region"),
        (exceptions.NoCredentialsError(), "there are no AWS credentials: log in"),
        (exceptions.ProfileNotFound(profile="nope"), "aws configure list-profiles"),
        (exceptions.SSOTokenLoadError(error_msg="x"), "credentials have expired"),
        (exceptions.UnauthorizedSSOTokenError(), "credentials have expired"),
        (answered("ExpiredToken"), "credentials have expired"),
        (answered("ExpiredTokenException"), "credentials have expired"),
        (answered("UnrecognizedClientException"), "does not accept your credentials"),
        (answered("InvalidClientTokenId"), "does not accept your credentials"),
        (answered("AccessDeniedException", "not authorized to perform: dynamodb:Query"), "dynamodb:Query"),
        (answered("ResourceNotFoundException", "Requested resource not found"), "check --stage and --region"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x.moon-1.amazonaws.com/"), "check the region"),
        (exceptions.InvalidRegionError(region_name="eu west"), "pass --region"),
    ],
)
def test_each_error_says_what_to_do_in_one_line(error: Exception, words: str) -> None:
    text = explained(error)
    assert words in text
    assert "\n" not in text


def test_a_stack_that_is_not_there_names_the_stage() -> None:
    error = answered("ValidationError", "Stack with id ecs-alert-router-blue does not exist")
    assert explained(error, "blue") == "stage blue is not deployed in this region: pass --stage and --region"


def test_the_cause_of_an_error_of_the_router_is_explained() -> None:
    error = HistoryUnavailable("DynamoDB did not do it; try again later")
    error.__cause__ = answered("ExpiredTokenException")
    assert "credentials have expired" in explained(error)


def test_another_error_is_left_to_others() -> None:
    assert explained(answered("ThrottlingException")) == ""
    assert explained(ValueError("x")) == ""
