"""Tests of what leaves."""
