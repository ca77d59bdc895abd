"""Bundles and sessions."""
