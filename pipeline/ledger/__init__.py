"""The one record of truth: studies, series, jobs and artifacts."""
