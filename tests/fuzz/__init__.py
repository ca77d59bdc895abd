"""Readers of what comes from outside, fed with damaged inputs (``docs/fuzzing.md``)."""
