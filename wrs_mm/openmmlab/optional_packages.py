"""Packages that some configs need and that nobody has to install: who lacks one is told its name and command.

mmdet and mmseg import them late, and say that one is missing in many ways: an import that fails, a
RuntimeError, an AssertionError, a NotImplementedError, with or without a command.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wrs_mm.errors import ConfigError, UsageError
from wrs_mm.values import one_line

if TYPE_CHECKING:
    from mmengine.config import Config

_GITHUB = "git+https://github.com"

_REQUIREMENTS = {
    **{
        name: name
        for name in (
            "albumentations cityscapesscripts emoji einops fairscale imagecorruptions instaboostfast "
            "jsonlines lap mmpretrain motmetrics nibabel nltk pycocoevalcap seaborn timm transformers"
        ).split()
    },
    "detectron2": f"{_GITHUB}/facebookresearch/detectron2.git",
    "ldm": f"{_GITHUB}/CompVis/stable-diffusion.git",
    "lvis": f"{_GITHUB}/lvis-dataset/lvis-api.git",
    "panopticapi": f"{_GITHUB}/cocodataset/panopticapi.git",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}
"""What pip installs the packages as, by the name that they are imported by."""

_COMMAND = re.compile(
    r"\b(?:pip|mim) install\s*(?:-U )?[`\"']*(?!openmim\b)(git\+\S+?\.git|[^\s`\"'-][^\s`\"',]*)"
)
"""A command in a toolbox's message; what it installs is the group. mmdet forgets spaces in one."""

_NAME = re.compile(r"\b(?:[Pp]lease install |[Pp]ackage )?[`\"']?(\w+)[`\"']? (?:is not installed|first\b)")
"""A package's name in a message that has no command."""


def missing_package(error: BaseException) -> str | None:
    """What a config needs, as the rest of a sentence that begins with it; None where nothing is missing.

    Args:
        error: What was raised when the config was read, or when something was built from it.

    Example:
        >>> missing_package(ModuleNotFoundError("…", name="skimage"))
        'needs scikit-image, which is not installed: pip install scikit-image'
    """
    if isinstance(error, UsageError):
        return None  # it says already what to do
    raised = list(causes(error))
    names = [c.name.partition(".")[0] for c in raised if isinstance(c, ModuleNotFoundError) and c.name]
    known = [_needs(_REQUIREMENTS[name]) for name in names if name in _REQUIREMENTS]
    said = [_of_message(one_line(cause)) for cause in raised]
    return next((answer for answer in (*known, *said, *map(_of_module, names)) if answer), None)


@contextmanager
def packages_named(config: Config) -> Iterator[None]:
    """Turn the lack of an optional package into one line.

    Raises:
        ConfigError: It names the package, and the command that installs it.
    """
    try:
        yield
    except Exception as error:
        answer = missing_package(error)
        if answer is None:
            raise
        raise ConfigError(f"config {config.filename or '(unnamed)'} {answer}") from error


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that led to it."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _of_module(name: str) -> str | None:
    """Of a module that an import did not find and nobody knows."""
    if importlib.util.find_spec(name) is not None:
        return None  # the package is there: it has no such submodule
    return (
        f"needs the module {name}, which Python does not find: pip install the package that has it, or put "
        "the folder that holds it on PYTHONPATH"
    )


def _of_message(message: str) -> str | None:
    if "VPD model" in message or "UNetWrapper" in message:
        return _needs(_REQUIREMENTS["ldm"])  # mmseg names a file that no wheel of it holds
    command = _COMMAND.search(message)
    if command is not None:
        requirement = command.group(1).rstrip(".")
        return _needs(_REQUIREMENTS.get(requirement, requirement))
    for name in _NAME.findall(message):
        if name.lower() in _REQUIREMENTS:
            return _needs(_REQUIREMENTS[name.lower()])
    if "is not installed" in message or "pip install" in message:
        return f"needs packages that are not installed: {message}"
    return None


def _needs(requirement: str) -> str:
    name = requirement.rpartition("/")[2].removesuffix(".git")
    return f"needs {name}, which is not installed: pip install {requirement}"
