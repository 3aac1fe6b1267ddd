"""Which files of a run go into a pack, and in which form.

What the run is, what came out of it and what a report reads: no checkpoints, no output of its processes. Of
mmengine's log the training loss is kept, of predictions everything, a detector's as columns or, where that
was asked for, its matches alone, of weights'
dynamics as many reports as a page shows, of sharpness and of weight noise everything. A run that was unpacked
has the same numbers as the one that was packed, to the last bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from wrs_mm.bench.packs.data_only import is_data
from wrs_mm.bench.packs.detections import from_columns, to_columns
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.dynamics import run_dynamics
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.predictions import FOLDER, KINDS, detections_file, matches_file
from wrs_mm.bench.runs.records import Identity, Result, Status
from wrs_mm.bench.runs.sharpness import parse as parse_sharpness
from wrs_mm.bench.runs.sharpness import run_sharpness
from wrs_mm.bench.runs.weight_noise import parse as parse_noise
from wrs_mm.bench.runs.weight_noise import run_weight_noise
from wrs_mm.engine.hooks.dynamics_file import DATA, HEAD, parse, to_bytes
from wrs_mm.engine.hooks.sharpness_hook import NAME as SHARPNESS
from wrs_mm.engine.hooks.weight_noise_hook import NAME as NOISE
from wrs_mm.errors import PlanError

_CONFIG, _IDENTITY, _RESULT = "config.py", "run.json", "result.json"

_LOG = "*/vis_data/scalars.json"
"""The log of an attempt; a resumed run has several."""

_PREDICTIONS = f"{FOLDER}/*"

_KEPT = (
    *(_CONFIG, _IDENTITY, _RESULT, "progress.json", "validations.json", "train_validations.json"),
    *(HEAD, DATA, SHARPNESS, NOISE, _LOG, _PREDICTIONS),
)
"""The files that are packed, of those that there are."""

_LOGGED = ("step", "loss")
"""What a report reads of a log."""

_COLUMNS = ".npz"
"""What a packed file of detections has at the end of its name."""


class RunContent:
    """What a pack holds of one run.

    Args:
        files: By their names within the run's folder, as they are there.

    Raises:
        ValueError: They are not those of a run with a final result.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        strange = [name for name in files if not _is_kept(name)]
        if strange:
            raise ValueError(f"it holds {strange[0]}")
        missing = [name for name in (_CONFIG, _IDENTITY, _RESULT) if name not in files]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        self.files = files
        try:
            self.identity = Identity.model_validate_json(files[_IDENTITY])
            self.result = Result.model_validate_json(files[_RESULT])
            config = files[_CONFIG].decode()
        except (ValidationError, UnicodeDecodeError) as error:
            what = error.title if isinstance(error, ValidationError) else _CONFIG
            raise ValueError(f"{what} is damaged or of another version of wrs-mm") from None
        if not self.result.status.final:
            raise ValueError(f"it is {self.result.status.value}, and may be gone on with")
        if not is_data(config):
            raise ValueError(f"{_CONFIG} is more than data")
        if HEAD in files or DATA in files:
            parse(files.get(HEAD, b""), files.get(DATA, b""))
        if SHARPNESS in files:
            parse_sharpness(files[SHARPNESS])
        if NOISE in files:
            parse_noise(files[NOISE])

    def packed(self) -> dict[str, bytes]:
        """The files as a pack has them, sorted by their names there."""
        return dict(sorted(_packed(name, content) for name, content in self.files.items()))


def read_run(run: Run, spec: RunSpec | None = None, detections: bool = True) -> RunContent:
    """What a pack holds of a run.

    Args:
        run: The run.
        spec: What its plan calls it: of a pretraining, which several plans share, the folder may say what
            another does. None for what the folder says.
        detections: Whether a detector's detections go in where their matches do.

    Raises:
        PlanError: It cannot be packed.
    """
    names = {
        path.relative_to(run.folder).as_posix(): path
        for pattern in _KEPT
        for path in run.folder.glob(pattern)
        if path.is_file() and not path.name.startswith(".")
    }
    result = run.result()
    if result is None or result.status is not Status.DONE:
        # Those of an earlier validation: nothing reads them.
        names = {name: path for name, path in names.items() if not fnmatchcase(name, _PREDICTIONS)}
    if not detections:
        for kind in KINDS:
            if matches_file(Path(FOLDER), kind).as_posix() in names:
                names.pop(detections_file(Path(FOLDER), kind).as_posix(), None)
    dynamics = run_dynamics(run.folder)
    if dynamics is None:
        names = {name: path for name, path in names.items() if name not in (HEAD, DATA)}
    if not run_sharpness(run.folder):
        names.pop(SHARPNESS, None)
    if not run_weight_noise(run.folder):
        names.pop(NOISE, None)
    files = {name: path.read_bytes() for name, path in names.items()}
    identity = run.identity()
    if identity is not None and spec is not None and identity.spec != spec:
        own = identity.model_copy(update={"spec": spec})
        files[_IDENTITY] = own.model_dump_json(indent=1).encode()
    if dynamics is not None:
        files[DATA] = to_bytes(dynamics)
    files = {name: _losses(text) if _is_like(name, _LOG) else text for name, text in files.items()}
    try:
        return RunContent(files)
    except ValueError as error:
        raise PlanError(f"{run.folder} cannot be packed: {error}") from None


def unpacked(packed: Mapping[str, bytes]) -> RunContent:
    """The run whose packed files these are.

    Raises:
        ValueError: They are damaged, or not those of a run.
    """
    return RunContent(dict(_unpacked(name, content) for name, content in packed.items()))


def _packed(name: str, content: bytes) -> tuple[str, bytes]:
    columns = to_columns(content) if _is_detections(name) else None
    return (name, content) if columns is None else (name + _COLUMNS, columns)


def _unpacked(name: str, content: bytes) -> tuple[str, bytes]:
    original = name.removesuffix(_COLUMNS)
    if original != name and _is_detections(original):
        return original, from_columns(content)
    return name, content


def _is_detections(name: str) -> bool:
    return _is_like(name, f"{FOLDER}/*.json")


def _is_kept(name: str) -> bool:
    hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
    return not hidden and any(_is_like(name, pattern) for pattern in _KEPT)


def _is_like(name: str, pattern: str) -> bool:
    """Whether a name is like a pattern, in which a star stands for one folder or file."""
    parts, patterns = PurePosixPath(name).parts, PurePosixPath(pattern).parts
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _losses(text: bytes) -> bytes:
    """The lines of a log that have a training loss, with what a report reads of them."""
    kept = []
    for line in text.decode(errors="replace").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue  # a kill cut it short
        if isinstance(record, dict) and all(key in record for key in _LOGGED):
            kept.append(json.dumps({key: record[key] for key in _LOGGED}) + "\n")
    return "".join(kept).encode()
