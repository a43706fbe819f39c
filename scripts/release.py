"""Build what a release uploads, in dist/, from the last commit: `python scripts/release.py
REPOSITORY [--doi DOI]`.

Fills in what only a published project has: its addresses in pyproject.toml, in CITATION.cff, and in
the links of README.md, which PyPI shows without the files beside it. Uploads nothing.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

MOST = 3e6  # bytes of a file
IMAGE = re.compile(r"(!\[[^\]]*\])\((?!https?:)")
LINK = re.compile(r"\]\((?!https?:|#)([^)]+)\)")


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", help="its address: https://HOST/OWNER/NAME")
    parser.add_argument("--doi", help="of the archived version, say of Zenodo")
    asked = parser.parse_args(words)
    out = Path("dist").absolute()
    with TemporaryDirectory() as folder:
        source = Path(folder)
        packed = subprocess.run(["git", "archive", "HEAD"], check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", folder], check=True, input=packed.stdout)
        version, date = released(source)
        fill(source, asked.repository.rstrip("/"), version, date, asked.doi)
        subprocess.run([sys.executable, "-m", "build", "--outdir", out, source], check=True)
    files = sorted(out.glob(f"*-{version}*"))
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True)
    for file in files:
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
    return int(any(file.stat().st_size > MOST for file in files))


def released(source: Path) -> tuple[str, str]:
    """The version and its date. Ends the program where the files that name it do not agree, or the
    changelog has no date.
    """
    found = re.search(
        r"^## (\S+) \(?([\d-]{10})", (source / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    if found is None:
        sys.exit("CHANGELOG.md: the first version needs its date, as in ## 1.0.0 (2030-01-31)")
    version, date = found.groups()
    for name, said in (
        ("fdi/__init__.py", f'__version__ = "{version}"'),
        ("CITATION.cff", f"\nversion: {version}\n"),
        ("packaging/conda/recipe.yaml", f"version: {version}"),
    ):
        if said not in (source / name).read_text():
            sys.exit(f"{name} has another version than CHANGELOG.md, {version}")
    return version, date


def fill(source: Path, repository: str, version: str, date: str, doi: str | None) -> None:
    """Write the addresses into the files of `source`."""
    page = f"{repository}/blob/v{version}/"
    names = {"Repository": repository, "Changelog": f"{page}CHANGELOG.md"}
    names["Documentation"] = f"{repository}/tree/v{version}/docs"
    urls = "".join(f'{name} = "{url}"\n' for name, url in names.items())
    project, citation, readme = (
        source / name for name in ("pyproject.toml", "CITATION.cff", "README.md")
    )
    project.write_text(re.sub(r"(\[project\.urls\].*\n)", rf"\1{urls}", project.read_text()))
    said = f"date-released: {date}\nrepository-code: {repository}\n"
    said += f"doi: {doi}\n" if doi else ""
    citation.write_text(re.sub("(license: MIT).*\n", rf"\1\n{said}", citation.read_text()))
    text = IMAGE.sub(rf"\1({repository}/raw/v{version}/", readme.read_text())
    readme.write_text(LINK.sub(rf"]({page}\1)", text))


if __name__ == "__main__":
    sys.exit(main())
