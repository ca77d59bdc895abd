"""Vesalius as a library and a command line: DICOM in, analyses, DICOM out."""
