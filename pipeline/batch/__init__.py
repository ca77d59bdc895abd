"""Batch runs: cohorts of studies, what is to be done, the run, its tables and its report."""
