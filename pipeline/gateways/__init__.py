"""Sockets and HTTP of other systems: one module a protocol; no ledger."""
