"""The analyses that ship: from a series to a result, each in a room of its own."""
