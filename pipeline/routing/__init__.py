"""Routing: a site's rules, as data, say which analyses a series gets and how soon.

``attributes`` is what a rule may ask for, ``rules`` reads a site's file, ``route`` decides,
and ``told`` explains.
"""
