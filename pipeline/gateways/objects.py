"""Put files into a bucket of storage that speaks S3, and read them back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from pipeline.connections import Destination
from pipeline.errors import PeerUnavailable, UnusableCall
from pipeline.gateways.secret import read_secret

TIMEOUT = timedelta(seconds=60)
"""Time for a request."""


class Bucket:
    """A bucket, and the prefix under which files go."""

    def __init__(self, settings: Destination) -> None:
        self._name = str(settings.bucket)
        place = urlsplit(self._name)
        if place.scheme != "s3" or not place.netloc:
            raise UnusableCall(f"bucket is {self._name!r}, needed is s3://bucket/prefix")
        self._store = S3Store(
            place.netloc,
            prefix=place.path.strip("/") or None,
            config=_config(settings),
            client_options={
                "timeout": TIMEOUT,
                "allow_http": bool(settings.endpoint and settings.endpoint.startswith("http://")),
            },
            # The delivery is what is repeated.
            retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=5)},
        )

    def put(self, source: Path, name: str) -> str:
        """Put a file and return a status as HTTP's: 200, or 401 or 403 where it may not.

        Raises
        ------
        PeerUnavailable
            If the storage does not answer, or has no such bucket.
        """
        try:
            with self._translated():
                obstore.put(self._store, name, source)
        except _NotAllowed as problem:
            return problem.status
        return "200"

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 of an object, read back; None if it is not there.

        Raises
        ------
        PeerUnavailable
            If the storage does not answer, or the object may not be read.
        """
        digest = sha256()
        try:
            with self._translated():
                for chunk in obstore.get(self._store, name).stream():
                    digest.update(chunk)
        except FileNotFoundError:
            return None
        except _NotAllowed as problem:
            raise PeerUnavailable(
                f"{self._name}: reading back was answered {problem.status}"
            ) from None
        return digest.hexdigest()

    def reach(self) -> None:
        """Check that the storage answers.

        Raises
        ------
        PeerUnavailable
            If it does not.
        """
        try:
            self.digest(".vesalius")
        except PeerUnavailable as problem:
            if "was answered" not in str(problem):
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what the library raises into failures of the pipeline."""
        try:
            yield
        except (NotFoundError, FileNotFoundError) as problem:
            if "NoSuchBucket" in str(problem):
                raise PeerUnavailable(f"{self._name}: no such bucket") from None
            raise FileNotFoundError from None
        except UnauthenticatedError:
            raise _NotAllowed("401") from None
        except (PermissionDeniedError, PermissionError):
            raise _NotAllowed("403") from None
        except (BaseError, OSError) as problem:
            raise PeerUnavailable(f"{self._name}: {type(problem).__name__}") from None


class _NotAllowed(Exception):
    """The storage does not allow it."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def _config(settings: Destination) -> Any:  # noqa: ANN401 - obstore's own record
    """Return the settings of the client."""
    config: dict[str, Any] = {"region": settings.region or "us-east-1"}
    if settings.endpoint is not None:
        config |= {"endpoint": settings.endpoint, "virtual_hosted_style_request": False}
    if settings.credentials is not None:
        key, _, secret = read_secret(settings.credentials).partition(":")
        config |= {"access_key_id": key, "secret_access_key": secret}
    return config
