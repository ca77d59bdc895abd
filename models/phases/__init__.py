"""Surgical phases: the networks, their training, and the bundle."""
