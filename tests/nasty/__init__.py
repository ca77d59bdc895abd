"""A corpus of nasty files, made here, each with what must become of it (``docs/fuzzing.md``)."""
