"""Which brokers a failure test is done over: ``FAILURE_BROKERS`` names them."""

import os

import pytest

BROKERS = os.environ.get("FAILURE_BROKERS", "valkey,rabbitmq").split(",")
"""Kinds of broker: ``valkey``, ``rabbitmq``."""

on_each_broker = pytest.mark.parametrize("broker", BROKERS, indirect=True)
