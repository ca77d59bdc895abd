"""Myocardial first-pass perfusion, after DAUGS (JCMR 2024;26(2), arXiv 2408.04805)."""
