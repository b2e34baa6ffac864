"""What an error of the AWS SDK means to the person at the keyboard, and what to type."""

from collections.abc import Iterator, Mapping

_LOG_IN = "log in again, for example with `aws sso login`, or pass --profile"
_EXPIRED = f"your AWS credentials have expired: {_LOG_IN}"
_UNKNOWN = f"AWS does not accept your credentials: {_LOG_IN}"
_NONE = "there are no AWS credentials: log in, for example with `aws sso login`, or pass --profile"
_REGION = "no AWS region is set: pass --region, or set AWS_REGION"
_NO_ANSWER = "{error}: check the region and the network"
_DENIED = "AWS denied access: {message} (docs/operate.md lists what each command needs)"

_BY_TYPE: Mapping[str, str] = {
    "NoRegionError": _REGION,
    "NoCredentialsError": _NONE,
    "PartialCredentialsError": "{error}: set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "CredentialRetrievalError": _EXPIRED,
    "TokenRetrievalError": _EXPIRED,
    "SSOError": _EXPIRED,
    "SSOTokenLoadError": _EXPIRED,
    "UnauthorizedSSOTokenError": _EXPIRED,
    "LoginError": _EXPIRED,
    "ProfileNotFound": "{error}: `aws configure list-profiles` lists them",
    "InvalidRegionError": "{error}: pass --region, such as eu-west-1",
    "EndpointConnectionError": _NO_ANSWER,
    "ConnectTimeoutError": _NO_ANSWER,
    "ReadTimeoutError": _NO_ANSWER,
    "ProxyConnectionError": _NO_ANSWER,
    "ConnectionClosedError": _NO_ANSWER,
    "SSLError": _NO_ANSWER,
}
"""By the name of botocore's class, so that nothing has to import it."""

_BY_CODE: Mapping[str, str] = {
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "InvalidClientTokenId": _UNKNOWN,
    "UnrecognizedClientException": _UNKNOWN,
    "InvalidSignatureException": _UNKNOWN,
    "SignatureDoesNotMatch": _UNKNOWN,
    "IncompleteSignature": _UNKNOWN,
    "MissingAuthenticationToken": _UNKNOWN,
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "UnauthorizedOperation": _DENIED,
    "AuthorizationError": _DENIED,
    "OptInRequired": "{message}: check the region",
}
_NO_STACK = "stage {stage} is not deployed in this region: pass --stage and --region"
_NOT_FOUND = "{message}: check --stage and --region"


def explained(error: BaseException, stage: str = "") -> str:
    """One line that says what to do about an error of the AWS SDK, or an error that it caused; "" for other errors."""
    for cause in _causes(error):
        code, message = _answer(cause)
        text = _BY_TYPE.get(type(cause).__name__) or _BY_CODE.get(code)
        if code == "ValidationError" and "does not exist" in message:
            text = _NO_STACK if stage else _NOT_FOUND
        if code == "ResourceNotFoundException":
            text = _NOT_FOUND
        if text:
            return " ".join(text.format(error=str(cause).rstrip("."), message=message.rstrip("."), stage=stage).split())
    return ""


def is_from_aws(error: BaseException) -> bool:
    """Whether the AWS SDK raised it."""
    return any(base.__name__ in {"BotoCoreError", "ClientError"} for base in type(error).__mro__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__


def _answer(error: BaseException) -> tuple[str, str]:
    """The code and the text of what AWS answered."""
    response = getattr(error, "response", None)
    answer = response.get("Error", {}) if isinstance(response, Mapping) else {}
    return str(answer.get("Code", "")), str(answer.get("Message", ""))
