"""The record of studies, series, jobs and artifacts: UIDs and digests, nothing about a patient."""
