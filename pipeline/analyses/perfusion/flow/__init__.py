"""Myocardial blood flow: deconvolution of tissue by its arterial input (``docs/flow.md``)."""
