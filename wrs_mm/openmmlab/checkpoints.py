"""Checkpoints of mmengine on PyTorch 2.6 and newer: loaded safely, written whole.

``torch.load`` refuses, since PyTorch 2.6, whatever is not on a list of harmless types, and
mmengine 0.10 keeps more than tensors in a checkpoint (mmengine issue 1655, PR 1650). The protection
stays on here: the types that mmengine writes are added to the list, and nothing else.

mmengine also writes a checkpoint straight to its final name, where a kill leaves half a file that
looks like a checkpoint. Here it goes to a temporary name first.
"""

from __future__ import annotations

import functools
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wrs_mm.errors import CheckpointError
from wrs_mm.files import open_atomically
from wrs_mm.values import did_you_mean, one_line

_REFUSED = re.compile(r"GLOBAL ([\w.]+)")
"""Where torch's message names the type or function that it does not load."""


def _allow_checkpoint_types() -> None:
    """Allow under ``weights_only`` the types that mmengine's checkpoints contain, and no others.

    These are the histories in its message hub, the numpy arrays and numbers in them, in datasets'
    meta information and in random-number states, and the functions that the histories and
    OneCycleLR name in their state.
    """
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    scalar = np.float64(0).__reduce__()[0]
    reconstruct = np.zeros(0).__reduce__()[0]
    # One class for each kind of number; never that of objects, which would load anything.
    dtypes = {type(np.dtype(code)) for code in "?bBhHiIlLqQefdFDSU"}
    allowed: list[Any] = [HistoryBuffer, OneCycleParamScheduler, np.ndarray, np.dtype, *dtypes]
    # numpy 2 renamed the module; files from before carry its old name.
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        allowed.append((reconstruct, f"{module}._reconstruct"))
        allowed.append((scalar, f"{module}.scalar"))
    # How pickle writes a function of a class.
    allowed.append((_method, "builtins.getattr"))
    torch.serialization.add_safe_globals(allowed)


def _method(owner: Any, name: str) -> Any:
    """Stands for ``getattr`` in a checkpoint, and looks up only what mmengine refers to so."""
    from mmengine.logging import HistoryBuffer
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    methods = {
        HistoryBuffer: ("min", "max", "current", "mean"),
        OneCycleParamScheduler: ("_annealing_cos", "_annealing_linear"),
    }
    if isinstance(owner, type) and name in methods.get(owner, ()):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f"Unsupported global: GLOBAL builtins.getattr of {owner!r}.{name}")


def load_checkpoint_file(filename: str | Path, map_location: Any = None) -> Any:
    """Read a checkpoint from disk with ``weights_only`` protection.

    Args:
        filename: The file; ``~`` is the home folder.
        map_location: As in :func:`torch.load`.

    Returns:
        What was saved: a dict, for every checkpoint of OpenMMLab.

    Raises:
        CheckpointError: The file is missing, is damaged or holds a type that is not loaded.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise CheckpointError(f"checkpoint {filename} does not exist; give the path of a .pth file")
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        raise CheckpointError(_why_not(filename, path, error)) from error


def _why_not(filename: str | Path, path: Path | None, error: Exception) -> str:
    message = one_line(error)
    refused = _refused_types(path) if path else []
    if not refused:
        # torch leaves "builtins." out.
        names = _REFUSED.findall(message)[:1]
        refused = [name if "." in name else f"builtins.{name}" for name in names]
    if refused:
        return (
            f"checkpoint {filename} holds {', '.join(refused)}, which is not loaded because a file "
            "could run code that way; use a checkpoint of tensors and mmengine's own types"
        )
    # torch's own text begins with advice to switch the protection off and ends with a trace.
    reason = re.split(r"\. |\[enforce", message.split("WeightsUnpickler error: ")[-1])[0][:200]
    detail = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    return f"checkpoint {filename} is damaged or not a checkpoint ({detail})"


def _refused_types(path: Path) -> list[str]:
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # damaged, or in the format of before PyTorch 1.6, which it does not read
        return []


def load_safely() -> None:
    """Make mmengine load files and downloads with ``weights_only`` protection."""
    from mmengine.runner import checkpoint

    _allow_checkpoint_types()

    # mmengine takes the name of the backend, for its log, from the name of this function.
    def load_from_local(filename: str, map_location: Any = None) -> Any:
        return load_checkpoint_file(filename, map_location)

    loaders = checkpoint.CheckpointLoader
    loaders.register_scheme(prefixes="", loader=load_from_local, force=True)
    for scheme in ("torchvision://", "open-mmlab://", "openmmlab://"):
        loader = loaders._schemes[scheme]
        if not hasattr(loader, "__wrapped__"):
            loaders.register_scheme(scheme, _named(scheme, loader), force=True)
    if not hasattr(checkpoint.load_url, "__wrapped__"):
        checkpoint.load_url = _protected(checkpoint.load_url)


def _named(scheme: str, load: Callable[..., Any]) -> Callable[..., Any]:
    """A loader that says in one line that its collection has no such weights."""

    @functools.wraps(load)
    def load_named(filename: str, map_location: Any = None) -> Any:
        try:
            return load(filename, map_location)
        except KeyError as error:
            name = filename.removeprefix(scheme)
            raise CheckpointError(
                f"checkpoint {filename}: {scheme.removesuffix('://')} has no weights called {name}"
                f"{did_you_mean(name, _collection(scheme))}"
            ) from error

    return load_named


def _collection(scheme: str) -> Iterable[str]:
    """The names of the weights behind a scheme of mmengine's."""
    from mmengine.runner import checkpoint

    return (
        checkpoint.get_torchvision_models()
        if scheme == "torchvision://"
        else checkpoint.get_external_models()
    )


def _protected(load_url: Callable[..., Any]) -> Callable[..., Any]:
    """Switch on the protection that torch.hub, unlike torch.load, still leaves off."""

    @functools.wraps(load_url)
    def load(url: str, *args: Any, **options: Any) -> Any:
        try:
            return load_url(url, *args, **options, weights_only=True)
        except pickle.UnpicklingError as error:
            raise CheckpointError(_why_not(url, None, error)) from error
        except (OSError, ValueError, RuntimeError) as error:
            # No network, no such file (urllib's are OSErrors), no address at all, half a file.
            reason = one_line(error) or type(error).__name__
            raise CheckpointError(
                f"checkpoint {url} cannot be loaded ({reason}); without a network, put the file into "
                f"{Path(torch.hub.get_dir(), 'checkpoints')}, or give a file in its place"
            ) from error

    return load


def save_atomically() -> None:
    """Make mmengine write local files, checkpoints among them, under a temporary name first."""
    from mmengine.fileio.backends import local_backend
    from mmengine.hooks import checkpoint_hook

    # Both modules call open() for writing whole files and for reading; naming another open in the
    # module is the least that reaches every one of their writes.
    for module in (local_backend, checkpoint_hook):
        module.open = _open


def _open(file: str | Path, mode: str = "r", **options: Any) -> Any:
    if mode in ("w", "wb"):
        return open_atomically(file, mode, **options)
    return open(file, mode, **options)


_TRAINING_STATE = {"meta", "state_dict", "optimizer", "message_hub"}
"""What a checkpoint holds from which a training can go on."""


def holds_training(content: Any) -> bool:
    """Whether a training can go on from what a checkpoint held; published ones hold weights alone."""
    return isinstance(content, dict) and content.keys() >= _TRAINING_STATE


def _pointed_checkpoint(folder: Path) -> Path | None:
    """What the file ``last_checkpoint`` names, in which mmengine says where it saved the last one.

    Relative to the folder that the training was started in: where the work dir was moved, or is seen from
    another folder, only the name counts.
    """
    pointer = folder / "last_checkpoint"
    return Path(pointer.read_text().strip()) if pointer.exists() else None


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints of a work dir: the one that ``last_checkpoint`` names, then the newest.

    They are in the work dir, or in the folder that ``last_checkpoint`` names. ``best_*`` are left out:
    mmengine saves them for users, with weights alone.
    """
    pointed = _pointed_checkpoint(folder)
    name = pointed.name if pointed else None
    if pointed and pointed.is_file() and not (folder / pointed.name).is_file():
        folder = pointed.parent
    saved = [path for path in folder.glob("*.pth") if not path.name.startswith("best_")]
    return sorted(saved, key=lambda path: (path.name == name, path.stat().st_mtime_ns), reverse=True)


def last_checkpoint(work_dir: Path) -> Path | None:
    """The checkpoint that the training in a work dir goes on from, if it has saved one.

    mmengine removes older ones before it writes which one is the last: where a kill came in between, the
    newest counts.

    Raises:
        CheckpointError: The file names a checkpoint, and there is none.
    """
    pointed = _pointed_checkpoint(work_dir)
    if pointed is None:
        return None
    for path in (work_dir / pointed.name, pointed):
        if path.is_file():
            return path
    for path in newest_first(work_dir):
        if re.fullmatch(r"(iter|epoch)_\d+", path.stem):
            return path
    pointer = work_dir / "last_checkpoint"
    raise CheckpointError(
        f"{pointer} names {pointed.name}, which is gone; remove {pointer} to start anew, "
        "or give --resume a checkpoint"
    )


def check_checkpoint(checkpoint: str | Path) -> str | Path:
    """Refuse early, before a model is built, a file that does not exist."""
    # Addresses (https://…, open-mmlab://…) are mmengine's to resolve.
    if "://" not in str(checkpoint) and not Path(checkpoint).expanduser().is_file():
        raise CheckpointError(f"checkpoint {checkpoint} does not exist; give the path of a .pth file")
    return checkpoint


def check_sums(checkpoint: str | Path) -> None:
    """Refuse a file whose content is not what was written; torch loads one with other numbers in it.

    Raises:
        CheckpointError: It is not, or it is no file of PyTorch 1.6 or later.
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(f"checkpoint {checkpoint} is damaged ({error})") from error
    if broken is not None:
        raise CheckpointError(f"checkpoint {checkpoint} is damaged ({broken} has another checksum)")


def check_resumable(checkpoint: str | Path) -> None:
    """Refuse to go on from a damaged file, and from weights alone, as published checkpoints are."""
    if "://" in str(checkpoint):
        return
    path = Path(checkpoint).expanduser()
    if zipfile.is_zipfile(path):
        check_sums(path)
    # On the meta device nothing but the structure is read.
    content = load_checkpoint_file(checkpoint, map_location="meta")
    if not holds_training(content):
        raise CheckpointError(
            f"checkpoint {checkpoint} holds weights but no state of a training; to start from "
            "these weights, set load_from in the config instead of resuming"
        )
