"""What a site sets of the review page: where it is served, who may sign in, and for how long."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.connections import LAST_PORT, is_loopback
from pipeline.errors import UnusableCall

ROLES = ("viewer", "reviewer", "administrator")
"""What accounts may do: see; also judge and correct; also keep accounts, audit and export."""

ORGANIZATION = re.compile(r"[^\x00-\x1f\x7f\\]{1,64}")
"""An organization: VR LO of PS3.5, 6.2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewSettings:
    """The review page."""

    host: str = "127.0.0.1"
    """Address that it listens on; on another than this machine's own, TLS is needed."""

    port: int = 8710
    """Its port; 0 takes a free one."""

    url: str | None = None
    """What browsers call it, such as ``https://review.hospital.example``; None is its address."""

    tls_certificate: Path | None = None
    """Its certificate, with those in between, PEM. Not that of [tls]: browsers show none."""

    tls_key: Path | None = None
    """The certificate's private key, PEM."""

    idle_s: float = 900.0
    """Time without a request after which a session ends [s]."""

    longest_s: float = 36000.0
    """Time after which a session ends, whatever is asked [s]."""

    attempts: int = 5
    """Failed logins of an account after which it waits; four times as many from one address."""

    attempts_s: float = 300.0
    """Time in which they are counted [s]."""

    cache_mib: int = 4096
    """Images and videos of inputs that are kept to be shown again, beside the ledger [MiB]."""

    readings: int = 1
    """Readers who must agree on a result: 1, or 2 for double reading."""

    read_twice: tuple[str, ...] = ()
    """Analyses that are read by two, whatever ``readings`` says."""

    organization: str = "unknown"
    """Verifying Organization (0040,A027) of documents that readers verify; it must have a value."""

    oidc_name: str = "single sign-on"
    """How the page calls the provider of OpenID Connect."""

    oidc_issuer: str | None = None
    """Its issuer identifier; None has local accounts only."""

    oidc_client: str | None = None
    """Client identifier of this installation there."""

    oidc_secret: Path | None = None
    """File that holds the client's secret; None for a public client."""

    oidc_scopes: tuple[str, ...] = ("openid", "profile")
    """What is asked for."""

    oidc_role_claim: str = "roles"
    """Claim of the ID token that says what somebody may do."""

    oidc_roles: tuple[str, ...] = ()
    """What its values mean, each ``value=role``; who has none of them is refused."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible, or passwords would go over a network in the clear.
        """
        if not 0 <= self.port <= LAST_PORT:
            raise UnusableCall(f"port is {self.port}, possible is 0 to {LAST_PORT}")
        for name in ("idle_s", "longest_s", "attempts", "attempts_s", "cache_mib"):
            if getattr(self, name) <= 0:
                raise UnusableCall(f"{name} is {getattr(self, name)}, needed is more than 0")
        self._check_reading()
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise UnusableCall("url is no http:// or https://")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise UnusableCall("tls_certificate needs tls_key, and the other way round")
        if self.tls_certificate is None and not is_loopback(self.host):
            raise UnusableCall(f"on {self.host} passwords need tls_certificate and tls_key")
        self._check_provider()

    def _check_provider(self) -> None:
        """Check what is said of the provider."""
        if self.oidc_issuer is not None and (self.oidc_client is None or not self.oidc_roles):
            raise UnusableCall("oidc_issuer needs oidc_client and oidc_roles")
        if self.oidc_issuer is not None:
            issuer = urlsplit(self.oidc_issuer)
            if issuer.scheme != "https" and not is_loopback(issuer.hostname or ""):
                raise UnusableCall("oidc_issuer is no https://")
        self.roles_of_claims()

    def _check_reading(self) -> None:
        """Check how results are read."""
        if self.readings not in (1, 2):
            raise UnusableCall(f"readings is {self.readings}, possible is 1 or 2")
        if not ORGANIZATION.fullmatch(self.organization):
            raise UnusableCall("organization has 1 to 64 characters, no backslash")

    def readers_of(self, analysis: str) -> int:
        """Return how many readers must agree on a result of an analysis."""
        return 2 if analysis in self.read_twice else self.readings

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it over TLS, from here or from a proxy before it."""
        return self.tls_certificate is not None or (self.url or "").startswith("https://")

    def roles_of_claims(self) -> dict[str, str]:
        """Return the role that each value of the claim means.

        Raises
        ------
        UnusableCall
            If one is none.
        """
        roles = {}
        for each in self.oidc_roles:
            value, _, role = each.rpartition("=")
            if not value or role not in ROLES:
                raise UnusableCall(f"oidc_roles has {each!r}, needed is value={'|'.join(ROLES)}")
            roles[value] = role
        return roles
