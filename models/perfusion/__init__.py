"""The pool of space-time U-Nets of the perfusion analysis: training and export."""
