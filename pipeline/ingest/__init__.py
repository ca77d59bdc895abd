"""From files to series: what was found, what it is, and why the rest is refused."""
