"""Tests of the physics of MR raw data."""
