"""What beginning a run costs, and whose it is: seconds of the CPU until a recipe's model is built.

    python tools/perf/import_cost.py [CONFIG]

Each import counts for the package that it belongs to, with what it imports in turn counted for that. PyTorch
itself is taken apart by the parts that nobody needs to import it for.
"""

from __future__ import annotations

import argparse
import collections
import subprocess
import sys
from pathlib import Path

from wrs_mm.errors import UsageError
from wrs_mm.openmmlab.configs import load_config

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "mini" / "faster-rcnn_r18-narrow_fpn_mini-coco.py"

BUILD = """
import sys, time
import wrs_mm
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model
config = load_config(sys.argv[1])
__import__(config.default_scope + ".models")
began = time.process_time()
build_model(config)
print(began, time.process_time() - began)
"""

PARTS = ("torch.distributed", "torch._dynamo", "torch._inductor", "torch.fx", "torch._decomp", "torch._refs")
"""Of PyTorch, the parts that are counted by themselves."""


def measure(config: Path, repeats: int) -> tuple[dict[str, float], float, float]:
    """Seconds by package, of all imports, and of the build: those of the quickest of some processes."""
    found = []
    for _ in range(repeats):
        command = [sys.executable, "-X", "importtime", "-c", BUILD, str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        imports, build = map(float, done.stdout.split()[-2:])
        found.append((imports, build, done.stderr))
    imports, build, log = min(found)
    by_package = shares(log)
    total = sum(by_package.values())
    return {package: share / total * imports for package, share in by_package.items()}, imports, build


def shares(log: str) -> dict[str, float]:
    """Microseconds by package that ``-X importtime`` reports, those of each module alone."""
    by_package: collections.Counter[str] = collections.Counter()
    for line in log.splitlines():
        alone, _, name = line.removeprefix("import time:").partition("|")
        if line.startswith("import time:") and alone.strip().isdigit():
            module = name.rpartition("|")[2].strip()
            part = next((part for part in PARTS if f"{module}.".startswith(f"{part}.")), None)
            by_package[part or module.partition(".")[0]] += int(alone)
    return by_package


def main() -> int:
    """Measure and print.

    Returns:
        0, or 2 where the config cannot be read.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("config", nargs="?", type=Path, default=CONFIG)
    parser.add_argument("--repeats", type=int, default=3, help="processes (default: 3)")
    args = parser.parse_args()
    try:
        load_config(args.config)
    except UsageError as error:
        print(f"import_cost: error: {error}", file=sys.stderr)
        return 2
    by_package, imports, build = measure(args.config, args.repeats)
    print(
        f"{args.config.stem}: {imports + build:.1f} s of the CPU: imports {imports:.1f}, model {build:.1f}\n"
    )
    print("| package | seconds |\n|---|--:|")
    shown = {package: seconds for package, seconds in by_package.items() if seconds >= 0.02 * imports}
    shown |= {"wrs_mm": by_package["wrs_mm"]}
    for package, seconds in sorted(shown.items(), key=lambda item: -item[1]):
        print(f"| {package} | {seconds:.2f} |")
    print(f"| others | {imports - sum(shown.values()):.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
