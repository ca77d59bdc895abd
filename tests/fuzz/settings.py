"""What a site writes: its settings, its rules, and its manifests of models, all in TOML."""

from pathlib import Path

from pipeline.bundled.manifest import read_manifest
from pipeline.config import read_configuration
from pipeline.errors import PipelineError
from pipeline.routing.rules import read_rules
from tests.fuzz.target import ROOT, Target

READERS = {b"S": read_configuration, b"R": read_rules, b"M": read_manifest}
"""First byte of an input: settings, rules, or a manifest."""

RULES = b"""[[rule]]
name = "perfusion"
when = { modality = "MR", slices = { min = 1, max = 12 }, description = ["*perf*", "*STRESS*"] }
unless = { manufacturer = "X*" }
analyses = ["perfusion"]
lane = "urgent"
priority = 3
destinations = ["archive"]
last = true
[otherwise]
analyses = ["*"]
"""

MANIFEST = b"""name = "spleen"
takes = { modality = "CT" }
unless = { slices = { max = 3 } }
outputs = ["segmentation", "report"]
[[labels]]
value = 1
name = "spleen"
label = "Spleen"
category = { code = "123037004", meaning = "Anatomical Structure" }
type = { code = "78961009", meaning = "Spleen", scheme = "SCT" }
colour = "#ff0000"
"""


def read_toml(content: bytes, folder: Path) -> None:
    """Read a document as what its first byte says."""
    path = folder / "input.toml"
    path.write_bytes(content[1:])
    try:
        READERS.get(content[:1], read_configuration)(path)
    except PipelineError:
        return


def documents(_: Path) -> list[bytes]:
    """Return the default settings, some that a site writes, rules and a manifest."""
    default = (ROOT / "configs" / "default.toml").read_bytes()
    sections = [b"S[" + part for part in default.split(b"\n[")[1:]]
    nodes = b'S[nodes.a]\nae_title = "A"\nhost = "x"\nport = 104\n[tls]\nkey = "k"\n'
    return [b"S" + default, *sections, nodes, b"R" + RULES, b"M" + MANIFEST]


TARGETS = {"toml": Target(read=read_toml, seeds=documents, longest=4096)}
