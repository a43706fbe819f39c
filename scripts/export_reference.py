"""Add finished runs to the measurements that come with fdi: `python scripts/export_reference.py
[results] [reference]`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fdi.analysis.export_reference import export


def main(results: str = "results", folder: str = "") -> int:
    """`results`: folder with runs/ in it; `folder`: where the csv files go, `results`/reference if
    it is not given.
    """
    target = Path(folder or Path(results) / "reference")
    try:
        print(f"{export(Path(results), target)} runs in {target}")
    except (ValueError, OSError) as error:
        print(f"export_reference: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
