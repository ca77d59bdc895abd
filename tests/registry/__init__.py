"""Tests of the folder of bundles."""
