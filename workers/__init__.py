"""Celery workers and receivers: thin, over pipeline."""
