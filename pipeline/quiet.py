"""Keep pydicom, and what is built on it, from judging and quoting the values of a data set."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pydicom

LOGGERS = ("pydicom", "highdicom")
"""Loggers whose lines may quote a data set."""


@contextmanager
def quietly() -> Iterator[None]:
    """Let values that break the standard pass, and nobody warn or log of them.

    They are judged where they are used. pydicom converts a value when it is first looked at, and
    its warnings and its log quote what it does not like, a patient's attributes among it.
    """
    loggers = [logging.getLogger(name) for name in LOGGERS]
    were_disabled = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was_disabled in zip(loggers, were_disabled, strict=True):
            logger.disabled = was_disabled
