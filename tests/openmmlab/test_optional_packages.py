"""Who lacks an optional package reads its name and what installs it, however a toolbox says it."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from wrs_mm.cli.main import main
from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.mmcv_ops import MissingOperatorError
from wrs_mm.openmmlab.optional_packages import missing_package
from wrs_mm.openmmlab.synthetic import build_model
from wrs_mm.openmmlab.training import train

GIT = "git+https://github.com"


def without(package):
    """Skip where somebody has the package."""
    found = importlib.util.find_spec(package) is not None
    return pytest.mark.skipif(found, reason=f"{package} is installed")


@pytest.mark.parametrize(
    ("error", "name", "requirement"),
    [  # what mmdet 3.3, mmseg 1.2.2, mmengine 0.10 and mmpretrain 1.2 say
        (
            RuntimeError("transformers is not installed, please install it by: pip install transformers."),
            "transformers",
            "transformers",
        ),
        (
            NotImplementedError(
                "If you want to reduce GPU memory usage,      please install fairscale by executing the "
                "     following command: pip install fairscale."
            ),
            "fairscale",
            "fairscale",
        ),
        (
            RuntimeError(
                'Please run "pip install openmim" and run "mim install mmpretrain" to install '
                "mmpretrain first."
            ),
            "mmpretrain",
            "mmpretrain",
        ),
        (
            RuntimeError("skimage is not installed,       please install it by: pip install scikit-image"),
            "scikit-image",
            "scikit-image",
        ),
        (
            ImportError('Please run "pip install sklearn" to install sklearn first.'),
            "scikit-learn",
            "scikit-learn",
        ),
        (
            RuntimeError(
                "panopticapi is not installed, please install it by: "
                f"pip install {GIT}/cocodataset/panopticapi.git."
            ),
            "panopticapi",
            f"{GIT}/cocodataset/panopticapi.git",
        ),
        (
            RuntimeError(
                "trackeval is not installed,please install it by: pip install"
                f"{GIT}/JonathonLuiten/TrackEval.git"
                "trackeval need low version numpy, please install itby: pip install -U numpy==1.23.5"
            ),
            "TrackEval",
            f"{GIT}/JonathonLuiten/TrackEval.git",
        ),
        (
            ImportError("Please install Detectron2 first"),
            "detectron2",
            f"{GIT}/facebookresearch/detectron2.git",
        ),
        (RuntimeError("albumentations is not installed"), "albumentations", "albumentations"),
        (
            ModuleNotFoundError("mmpretrain is not installed, please install mmpretrain manually"),
            "mmpretrain",
            "mmpretrain",
        ),
        (
            ImportError('TIMMBackbone requires timm, please install it by `pip install "timm"`.'),
            "timm",
            "timm",
        ),
        (ImportError('Please run "pip install -U neptune" to install neptune'), "neptune", "neptune"),
        (
            ModuleNotFoundError("No module named 'skimage.io'", name="skimage.io"),
            "scikit-image",
            "scikit-image",
        ),
    ],
)
def test_a_toolbox_s_message_becomes_a_name_and_a_command(error, name, requirement, monkeypatch):
    answer = missing_package(error)
    assert answer == f"needs {name}, which is not installed: pip install {requirement}"


def test_what_nobody_knows_is_quoted():
    answer = missing_package(RuntimeError("sound is not installed here"))
    assert answer == "needs packages that are not installed: sound is not installed here"


def test_where_a_toolbox_points_to_a_file_that_it_does_not_install_the_package_is_named():
    answer = missing_package(
        AssertionError(
            "To use VPD model, please install required packages via "
            "`pip install -r requirements/optional.txt`."
        )
    )
    repository = "git+https://github.com/CompVis/stable-diffusion.git"
    assert answer == f"needs stable-diffusion, which is not installed: pip install {repository}"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("need at least one array to concatenate"),
        KeyError("Foo is not in the mmdet::model registry"),
        ModuleNotFoundError("No module named 'torch.nothing'", name="torch.nothing"),
        MissingOperatorError("compile mmcv, pip install nothing"),
    ],
)
def test_other_errors_are_left_alone(error):
    assert missing_package(error) is None


def test_an_error_that_another_led_to_counts_unless_it_was_put_aside():
    lacking = ModuleNotFoundError("No module named 'timm'", name="timm")
    answers = []
    for cause in ("context", None):
        try:
            try:
                raise lacking
            except ModuleNotFoundError:
                if cause is None:
                    raise ValueError("of no account") from None
                raise ValueError("of no account")  # noqa: B904
        except ValueError as error:
            answers.append(missing_package(error))
    assert answers == ["needs timm, which is not installed: pip install timm", None]


def test_a_config_that_imports_a_package_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mmpretrain", None)
    config = tmp_path / "c.py"
    config.write_text("custom_imports = dict(imports=['mmpretrain.models'], allow_failed_imports=False)\n")
    with pytest.raises(ConfigError) as caught:
        load_config(config)
    assert str(caught.value) == (
        f"config {config} needs mmpretrain, which is not installed: pip install mmpretrain"
    )


def test_a_module_of_one_s_own_is_not_what_pip_installs(tmp_path):
    config = tmp_path / "c.py"
    config.write_text("custom_imports = dict(imports=['of_my_own'], allow_failed_imports=False)\n")
    with pytest.raises(ConfigError, match=r"needs the module of_my_own, .* on PYTHONPATH$"):
        load_config(config)


def test_of_a_package_that_does_not_import_the_reason_is_named(tmp_path, monkeypatch):
    """As mmpretrain 1.2 beside newer transformers; mmengine's own message is the whole sys.path."""
    (tmp_path / "of_another_version.py").write_text("from json import NoSuchName\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / "c.py"
    config.write_text("custom_imports = dict(imports=['of_another_version'], allow_failed_imports=False)\n")
    with pytest.raises(ConfigError) as caught:
        load_config(config)
    assert str(caught.value).startswith(
        f"config {config} cannot be read: ImportError: cannot import name 'NoSuchName' from 'json'"
    )


@pytest.mark.parametrize("command", ["train", "audit", "config"])
def test_the_command_says_so_in_one_line(command, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mmpretrain", None)
    name = "mmdet::convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py"
    assert main([command, name]) == 2
    assert capsys.readouterr().err == (
        f"wrs-mm {command}: error: config {name} needs mmpretrain, which is not installed: "
        "pip install mmpretrain\n"
    )


@without("transformers")
def test_a_model_that_needs_a_package_names_it():
    config = load_config("mmdet::glip/glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365.py")
    with pytest.raises(ConfigError, match=r"needs transformers, .*: pip install transformers$"):
        build_model(config)


@without("memory_profiler")
def test_a_training_that_needs_a_package_names_it(write_config, tmp_path):
    config = write_config("detector", "custom_hooks = [dict(type='MemoryProfilerHook')]\n")
    with pytest.raises(ConfigError, match=r"needs memory_profiler, .*: pip install memory_profiler$"):
        train(config, work_dir=tmp_path / "work")
