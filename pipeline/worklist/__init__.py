"""Procedure steps of another system's worklist, performed here (PS3.4, CC)."""
