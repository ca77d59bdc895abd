"""Results on their way to destinations: checked, sent, proven."""
