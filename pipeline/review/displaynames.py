"""How the page calls measurements and their units."""

UNITS = {
    "1": "",
    "mm2": "mm\N{SUPERSCRIPT TWO}",
    "cm2": "cm\N{SUPERSCRIPT TWO}",
    "{intensity}": "intensity",
    "{intensity}/s": "intensity/s",
    "{intensity}/{beat}": "intensity/beat",
    "{intensity}.s": "intensity·s",
    "{intensity}.{beat}": "intensity·beat",
    "{beat}": "beat",
    "/{beat}": "1/beat",
    "/s": "1/s",
}
"""Units of UCUM as people write them."""

LABELS = {
    "u_pp": "U_pp",
    "mpri": "MPRI",
    "kspace_residual": "k-space residual",
    "zero_filled_kspace_residual": "k-space residual, zero-filled",
}
"""Names that are not made of their words."""

ENDINGS = ("_mm2", "_mm", "_s")
"""Units in names, which the unit says."""


def shown_unit(unit: str) -> str:
    """Return a unit of UCUM as people write it."""
    return UNITS.get(unit, unit)


def shown_name(name: str) -> str:
    """Return the name of a measurement in words."""
    if name in LABELS:
        return LABELS[name]
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name.replace("_", " ")
