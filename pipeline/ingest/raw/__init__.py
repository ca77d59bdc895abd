"""Raw data of MR: one module a format, each from a file to a ``KSpace``."""
