"""Surgical phases: the present recognised and what comes anticipated, from endoscopic video."""
