"""Who may call."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pipeline.connections import Network, parse_caller


@dataclass(frozen=True, slots=True)
class Callers:
    """The callers that a site allows."""

    allowed: tuple[tuple[str, Network | None], ...]
    """Titles, ``*`` for every one, each with the addresses that it may call from; None for every
    address. None at all lets everyone in."""

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Self:
        """Return the callers of the settings.

        Raises
        ------
        UnusableCall
            If an entry is none.
        """
        return cls(tuple(parse_caller(entry) for entry in entries))

    def allow(self, title: str, address: str) -> bool:
        """Tell whether an application entity may call from an address."""
        if not self.allowed:
            return True
        place = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(place, ipaddress.IPv6Address) and place.ipv4_mapped:
            place = place.ipv4_mapped
        return any(
            name in ("*", title.strip()) and (network is None or place in network)
            for name, network in self.allowed
        )
