"""Build the wheel, install it alone in an empty environment, and see that it is whole.

    python .ci/check_wheel.py FOLDER

What the wheel must not do is put `problems`, `adjoints` or `reports` at the top of site-packages;
what it must hold, besides the modules, is the certified references.
"""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CHECK = """
import sys
import adjointbench as ab
names = ab.problems.names()
bare = [name for name in names if ab.problems.get(name).reference is None]
assert names and not bare, f"no certified reference in the wheel: {bare}"
heavy = {"jax", "torch", "scipy", "pandas", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
print(f"{len(names)} problems, each with its reference")
"""


def main() -> None:
    """Do as the module says; end with an error where something is missing."""
    folder = Path(sys.argv[1]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    # A build folder from before would put its old files into the wheel.
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")

    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    foreign = {top for top in tops if not top.startswith("adjointbench")}
    assert not foreign, f"the wheel puts these at the top of site-packages: {foreign}"

    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    constraints = str(ROOT / "constraints.txt")
    install = ["--python", str(python), "install", "-c", constraints, str(wheel)]
    subprocess.run([*pip, *install], check=True)
    # From its own folder, where the wheel is what is imported, and in the root of the checkout,
    # whose folder of the same name comes before what is installed.
    for place, imported in ((folder, folder / "venv"), (ROOT, ROOT / "adjointbench")):
        check = f"{CHECK}assert ab.__file__.startswith({str(imported)!r}), ab.__file__\n"
        subprocess.run([str(python), "-c", check], check=True, cwd=place)


if __name__ == "__main__":
    main()
