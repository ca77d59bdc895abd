"""The folder of a site's bundles: one folder a bundle, named by its digest.

A bundle appears whole or not at all: it is copied beside its place, checked there, flushed and
renamed. What lies here is never changed, so that a job that names a digest finds the same bytes
years later; a signature alone, which the digest does not cover, gives way to one that the site
trusts now. Which of them serve, and how, is in the ledger (``pipeline/ledger/versions.py``).
"""

import re
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp

from pipeline.config import ModelSettings
from pipeline.errors import BundleRejected, UnusableCall
from pipeline.flush import flush, flush_tree
from pipeline.infer.bundle import Bundle, load_bundle
from pipeline.infer.filelist import SIGNATURE
from pipeline.trust import check_signature, load_trusted, put_signature

DIGEST = re.compile(r"[0-9a-f]{64}")
"""A SHA-256, hexadecimal."""

COMING = ".coming-"
"""Beginning of the name of a folder that is not whole yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """The bundles of a folder. Several processes may use the same one."""

    root: Path
    """The folder; it is made when the first bundle comes."""

    models: ModelSettings = field(default_factory=ModelSettings)
    """Whose signature is taken, and whether one is needed."""

    def place(self, digest: str) -> Path:
        """Return where the bundle of a digest lies, or would lie."""
        return self.root / digest

    def has(self, digest: str) -> bool:
        """Tell whether a bundle is here."""
        return DIGEST.fullmatch(digest) is not None and self.place(digest).is_dir()

    def load(self, digest: str) -> Bundle:
        """Return a bundle, with every byte and its signature checked.

        Raises
        ------
        BundleRejected
            If it is not here, or is not what its digest says.
        BundleUntrusted
            If it is not signed as the site demands.
        """
        bundle = self.read(digest)
        check_signature(bundle, self.models)
        return bundle

    def read(self, digest: str) -> Bundle:
        """Return a bundle, with every byte checked, whoever has signed it: not to work with.

        Raises
        ------
        BundleRejected
            If it is not here, or is not what its digest says.
        """
        if not self.has(digest):
            raise BundleRejected(f"{self.root}: no bundle of digest {digest[:12]}")
        bundle = load_bundle(self.place(digest))
        if bundle.digest != digest:
            raise BundleRejected(f"{bundle.folder}: its digest is {bundle.digest[:12]}: altered")
        return bundle

    def add(self, folder: Path) -> Bundle:
        """Copy a bundle into the registry, and return the copy.

        One that is here stays as it is, but for its signature: that of the folder takes its place.

        Raises
        ------
        BundleRejected
            If it cannot be used.
        BundleUntrusted
            If it is not signed as the site demands.
        UnusableCall
            If the registry cannot be written.
        """
        asked = load_trusted(folder, self.models)
        try:
            if self.has(asked.digest):
                return self._signed_anew(asked)
            self.root.mkdir(parents=True, exist_ok=True)
            coming = Path(mkdtemp(prefix=COMING, dir=self.root))
            try:
                return self._moved(folder, coming / "bundle", asked.digest)
            finally:
                shutil.rmtree(coming, ignore_errors=True)
        except OSError as problem:
            raise UnusableCall(f"{self.root}: cannot be written ({problem.strerror})") from problem

    def _signed_anew(self, asked: Bundle) -> Bundle:
        """Take the signature of a bundle that is here already, if it has one of a trusted key."""
        kept = self.read(asked.digest)
        if check_signature(asked, self.models) is not None:
            put_signature(kept.folder, (asked.folder / SIGNATURE).read_bytes())
        return self.load(asked.digest)

    def _moved(self, folder: Path, copy: Path, digest: str) -> Bundle:
        """Copy a bundle, check the copy, and move it into its place."""
        shutil.copytree(folder, copy)
        bundle = load_trusted(copy, self.models)
        if bundle.digest != digest:
            raise BundleRejected(f"{folder}: altered while it was copied")
        flush_tree(copy)
        place = self.place(digest)
        try:
            copy.rename(place)
        except OSError:
            # Another process was sooner: what it has put there is the same, or found out here.
            return self.load(digest)
        flush(self.root)
        networks = tuple(replace(n, path=place / n.path.relative_to(copy)) for n in bundle.networks)
        return replace(bundle, folder=place, networks=networks)
