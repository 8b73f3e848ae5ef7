"""What rows of a device are marked with, part by part."""

from __future__ import annotations

#: By study: its heading.
STUDIES = {
    "gpu agreement": "Methods on the device and on the CPU",
    "gpu networks": "Networks",
    "gpu lanes": "Ensembles",
    "gpu sweep": "The reverse sweep in chunks and step by step",
}
AGREEMENT, NETWORKS, LANES, SWEEP = STUDIES
