"""Vesalius as a library and a command line: DICOM in, analyses, DICOM out."""

__version__ = "0.1.0"
