"""Analyses that a manifest and a bundle make, without code."""
