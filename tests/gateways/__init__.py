"""Tests of what talks to other systems."""
