"""Tests of the readers of raw data."""
