"""What pynetdicom would tell of messages may quote data sets: it tells nothing."""

import logging

from pynetdicom import _config


def silence() -> None:
    """Have pynetdicom log nothing."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
