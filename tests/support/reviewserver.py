"""The review page's server as a thread of a test, and people who use it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import requests

from pipeline.config import Configuration
from pipeline.ledger.accounts import By, NewAccount, Role, accounts, add_account
from pipeline.quiet import quietly
from pipeline.review.app import make_app
from pipeline.review.passwords import digest_of
from pipeline.review.server import address, listening, review_server
from pipeline.review.site import Site

PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
PEOPLE = {
    "vera": Role.VIEWER,
    "rita": Role.REVIEWER,
    "rolf": Role.REVIEWER,
    "adam": Role.ADMINISTRATOR,
}
STARTS_S = 20.0


class Moments:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Person(requests.Session):
    """A browser.

    Parameters
    ----------
    url
        Address of the server.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.trust_env = False
        self.url = url.rstrip("/")

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", 60)
        return super().request(method, self.url + str(url), *args, **kwargs)

    def sign_in(self, name: str, password: str = PASSWORD) -> requests.Response:
        answer = self.post("/api/session", json={"name": name, "password": password})
        if answer.ok:
            self.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return answer


class Served:
    """A server that runs.

    Parameters
    ----------
    site
        What it serves.
    url
        Its address.
    clock
        Its clock.
    """

    def __init__(self, site: Site, url: str, clock: Moments) -> None:
        self.site, self.url, self.clock = site, url, clock
        self.people: list[Person] = []

    def nobody(self) -> Person:
        self.people.append(Person(self.url))
        return self.people[-1]

    @cached_property
    def adam(self) -> Person:
        return self.person("adam")

    def person(self, name: str) -> Person:
        person = self.nobody()
        assert person.sign_in(name).status_code == 200
        return person


@cache
def password_digest() -> str:
    """Return what is kept of everybody's password: it takes time to make."""
    return digest_of(PASSWORD)


@contextmanager
def serving(place: Path, configuration: Configuration) -> Iterator[Served]:
    """Serve a ledger, with an account for each of ``PEOPLE``."""
    clock = Moments()
    site = Site.open(str(place), configuration, place.parent, clock=clock)
    known = {account.name for account in accounts(site.ledger)}
    for name, role in PEOPLE.items():
        if name in known:
            continue
        new = NewAccount(
            name=name, display_name=name.title(), role=role, password=password_digest()
        )
        add_account(site.ledger, new, By(actor="test"))
    with site, quietly(), listening(configuration.review) as http:
        settings = configuration.review
        server = review_server(make_app(site), settings, site.ending)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [http]}, daemon=True)
        thread.start()
        until = time.monotonic() + STARTS_S
        while not server.started and time.monotonic() < until:
            thread.join(0.02)
        served = Served(site, address(settings, http.getsockname()[1]), clock)
        yield served
        for person in served.people:
            person.close()
        site.ending.set()
        server.should_exit = True
        thread.join(STARTS_S)
        assert not thread.is_alive()
