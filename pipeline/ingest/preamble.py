"""The 128 bytes before a DICOM file, which may be another file's beginning.

The standard leaves them to applications, so that a file can be an image to one reader and a program
to the next. TIFF is what the standard has them for, and is let in.

References
----------
.. [P310] DICOM PS3.10, 7.1: the File Preamble.
.. [CVE] CVE-2019-11687: programs in preambles.
"""

from pipeline.errors import UnreadableFile

BEGINNINGS = (
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"\xce\xfa\xed\xfe", "a macOS program"),
    (b"\xca\xfe\xba\xbe", "a macOS program or a Java class"),
    (b"#!", "a script"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "a PostScript program"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"\0asm", "a WebAssembly program"),
)
"""How files begin that something other than a viewer of images opens."""

MARKUP = (b"<html", b"<!doctype", b"<script", b"<svg", b"<?xml", b"<?php", b"<hta")
"""How pages begin, after white space and in any case."""


def check_preamble(preamble: bytes) -> None:
    """Refuse a preamble that makes a file something else as well [CVE]_.

    Raises
    ------
    UnreadableFile
        If it does.
    """
    for beginning, what in BEGINNINGS:
        if preamble.startswith(beginning):
            raise UnreadableFile(f"its preamble makes it {what} as well")
    text = preamble.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(MARKUP):
        raise UnreadableFile("its preamble makes it a page or a script as well")
