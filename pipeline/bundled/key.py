"""How the bundles of bundled analyses are told from others."""

BUNDLE_KEY = "bundled"
"""Setting that tells the bundles of these analyses from others: it holds the manifest."""
