"""What S3 and its driver raise, as errors of ours that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from fc_connect.errors import SourceError, SourceUnavailableError

__all__ = ["NOT_S3", "STREAM_FAILURES", "code_of", "mapped_errors", "status_of"]

NOT_S3: Final = "the answer isn't S3's; a proxy or a login page may be in between. Check endpoint_url."
STREAM_FAILURES: Final = (BotoCoreError, HTTPError, OSError)
"""What reading a body may raise when the connection breaks; the driver doesn't wrap all of urllib3's."""

_CREDENTIALS = (
    "The credentials were refused ({code}). Check access_key_id, secret_access_key, session_token and profile, "
    "whether they have expired, and this machine's clock."
)
_DENIED = (
    "Access is denied ({code}). These credentials need s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject "
    "and s3:DeleteObject below its prefix."
)
_ROLE = (
    "The role can't be taken on ({code}). Check role_arn and external_id, and that the role's trust policy names "
    "whoever these credentials belong to."
)
_REGION = "The bucket is in another region{hint} ({code}). Set the source's region to the bucket's."

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; HEAD has no body, so its status is the code.
_ADVICE = {
    "400": "Refused without a reason, as HEAD requests are: often expired credentials or the wrong region.",
    "301": _REGION,
    "401": _CREDENTIALS,
    "403": _DENIED,
    "AccessDenied": _DENIED,
    "AccountProblem": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AuthorizationHeaderMalformed": _REGION,
    "EntityTooLarge": "The file is larger than the store allows.",
    "ExpiredToken": _CREDENTIALS,
    "IllegalLocationConstraintException": _REGION,
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidObjectState": "The object is archived (Glacier). Restore it first.",
    "InvalidToken": _CREDENTIALS,
    "KeyTooLongError": "The name is too long: a key has at most 1,024 bytes.",
    "NoSuchBucket": "There is no such bucket. Make it, or mend the source's url.",
    "PermanentRedirect": _REGION,
    "RequestTimeTooSkewed": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "TokenRefreshRequired": _CREDENTIALS,
}
_PASSING = {
    "BandwidthLimitExceeded",
    "ConditionalRequestConflict",
    "InternalError",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
}
_NO_CREDENTIALS = (
    boto.CredentialRetrievalError,
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.SSOError,
    boto.TokenRetrievalError,
)
_LASTING = (boto.ParamValidationError, boto.SSLError, boto.UnsupportedS3ConfigurationError)


def code_of(error: ClientError) -> str:
    """Return the error's code: `NoSuchKey`, or the status as text where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def status_of(error: ClientError) -> int:
    """Return the HTTP status; 0 where it isn't known."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def mapped_errors(doing: str) -> Iterator[None]:
    """Turn the driver's errors into ours; `doing` begins the message: "Can't list s3://…"."""
    try:
        yield
    except ClientError as exc:
        code, status = code_of(exc), status_of(exc)
        if code in _PASSING or status == 429 or status >= 500:
            raise SourceUnavailableError(f"Can't {doing}: the store refused for now ({code}).") from exc
        if exc.operation_name == "AssumeRole":
            raise SourceError(f"Can't {doing}: {_ROLE.format(code=code)}") from exc
        if code in _ADVICE:
            region = exc.response.get("Error", {}).get("Region")
            hint = f", {region}" if region else ""
            raise SourceError(f"Can't {doing}: {_ADVICE[code].format(code=code, hint=hint)}") from exc
        message = exc.response.get("Error", {}).get("Message", "")
        raise SourceError(f"Can't {doing}: {code} {message}".rstrip()) from exc
    except _NO_CREDENTIALS as exc:
        raise SourceError(
            f"Can't {doing}: no usable credentials ({exc}). Set access_key_id and secret_access_key, a profile, "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or give this machine a role."
        ) from exc
    except _LASTING as exc:
        raise SourceError(f"Can't {doing}: {exc}") from exc
    except boto.EndpointConnectionError as exc:
        raise SourceUnavailableError(
            f"Can't {doing}: {exc} Check endpoint_url, region and the network."
        ) from exc
    except ResponseParserError as exc:
        raise SourceUnavailableError(f"Can't {doing}: {NOT_S3}") from exc
    except (BotoCoreError, HTTPError) as exc:
        raise SourceUnavailableError(f"Can't {doing}: {exc}") from exc
