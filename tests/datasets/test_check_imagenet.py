"""Every usual mistake in laying out ImageNet is found, and what to do about it is right."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from shapes import render_few

from wrs_mm.cli import main
from wrs_mm.datasets import check_imagenet, standin
from wrs_mm.datasets.check import check
from wrs_mm.datasets.finding import Finding
from wrs_mm.datasets.mini import Rendering
from wrs_mm.errors import DatasetError


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in, with three images of each class; tests damage copies of it."""
    root = tmp_path_factory.mktemp("standins")
    write = Rendering.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standin, "PER_CLASS", {"train": 2, "val": 1})
        patch.setattr(
            Rendering, "write", lambda self, *to: write(self, *to) if "imagenet" in self.name else Path()
        )
        standin.render_standins(root)
    return root / "standin-imagenet"


@pytest.fixture
def imagenet(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A complete ImageNet of sixty images."""
    monkeypatch.setattr(check_imagenet, "IMAGES", {"train": 40, "val": 20})
    monkeypatch.setattr(check_imagenet, "CLASSES", 20)
    return Path(shutil.copytree(rendered, tmp_path / "data" / "imagenet"))


def problems(root: Path, **options: object) -> list[Finding]:
    return [finding for finding in check("imagenet", root, **options) if not finding.ok]  # type: ignore[arg-type]


def run_shell(remedy: str) -> None:
    """Do as a remedy says: the command stands behind its last colon and space."""
    subprocess.run(remedy.rsplit(": ", 1)[1], shell=True, check=True)


def test_a_complete_set_has_no_problem(imagenet: Path) -> None:
    assert problems(imagenet) == []


def test_the_counts_are_those_of_the_published_set() -> None:
    assert check_imagenet.IMAGES == {"train": 1_281_167, "val": 50_000} and check_imagenet.CLASSES == 1000


def test_a_smaller_set_passes_only_when_it_may(rendered: Path) -> None:
    assert problems(rendered, any_size=True) == []
    found = problems(rendered)
    assert [one.found for one in found] == ["40 images of 20 classes", "20 images of 20 classes"]
    assert all("--any-size" in one.remedy for one in found)


def test_what_is_packed_passes_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = render_few(tmp_path)
    assert problems(folder, any_size=True) == []
    assert main.main(["data", "check", "imagenet", str(folder), "--any-size"]) == 0
    assert "40 images of 20 classes" in capsys.readouterr().out


def test_images_in_no_folders_are_to_be_sorted(imagenet: Path) -> None:
    for path in list((imagenet / "val").rglob("*.JPEG")):
        path.rename(imagenet / "val" / path.name)
    for folder in [entry for entry in (imagenet / "val").iterdir() if entry.is_dir()]:
        folder.rmdir()
    [problem] = problems(imagenet)
    assert (
        problem.part == "val/" and "20 images" in problem.found and "no folders of classes" in problem.found
    )
    assert "valprep.sh" in problem.remedy


def test_tar_files_of_classes_are_unpacked_by_the_remedy(imagenet: Path) -> None:
    train = imagenet / "train"
    for folder in sorted(train.iterdir()):
        with tarfile.open(train / f"{folder.name}.tar", "w") as archive:
            for image in sorted(folder.iterdir()):
                archive.add(image, image.name)
        shutil.rmtree(folder)
    [problem] = problems(imagenet)
    assert "20 tar files that are not unpacked" in problem.found
    run_shell(problem.remedy)
    assert problems(imagenet) == []


def test_the_download_is_unpacked_by_the_remedy(imagenet: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    for folder in sorted((imagenet / "train").iterdir()):
        with tarfile.open(outer / f"{folder.name}.tar", "w") as archive:
            for image in sorted(folder.iterdir()):
                archive.add(image, image.name)
    shutil.rmtree(imagenet / "train")
    with tarfile.open(imagenet / "ILSVRC2012_img_train.tar", "w") as archive:
        for one in sorted(outer.iterdir()):
            archive.add(one, one.name)
    [problem] = problems(imagenet)
    assert "missing, but there is" in problem.found
    run_shell(problem.remedy)
    assert problems(imagenet) == []


def test_kaggles_layout_is_found(imagenet: Path) -> None:
    inner = imagenet / "ILSVRC" / "Data" / "CLS-LOC"
    inner.mkdir(parents=True)
    for split in ("train", "val"):
        (imagenet / split).rename(inner / split)
    found = problems(imagenet)
    assert len(found) == 2 and all(one.remedy == f"give {inner}" for one in found)
    assert problems(inner) == []


def test_a_missing_split_names_its_archive(imagenet: Path) -> None:
    shutil.rmtree(imagenet / "val")
    [problem] = problems(imagenet)
    assert problem.found == "missing" and "ILSVRC2012_img_val.tar" in problem.remedy


def test_classes_that_only_one_split_has_are_found(imagenet: Path) -> None:
    (imagenet / "val" / "n02879718").rename(imagenet / "val" / "bow")
    [problem] = problems(imagenet)
    assert problem.part == "train/ and val/" and "bow, n02879718" in problem.found


def test_an_empty_class_and_a_damaged_image_are_found(imagenet: Path) -> None:
    empty = imagenet / "train" / "n02879718"
    for path in empty.iterdir():
        path.unlink()
    broken = min((imagenet / "val").rglob("*.JPEG"))
    broken.write_bytes(broken.read_bytes()[:200])
    counted, decoded = problems(imagenet)
    assert "1 folders hold no image (n02879718)" in counted.found
    assert "1 of 20 images looked at (of 20) do not decode" in decoded.found and broken.name in decoded.found


def test_a_part_is_not_the_root(imagenet: Path) -> None:
    with pytest.raises(DatasetError, match="is a part of the dataset; give the folder above it"):
        check("imagenet", imagenet / "train")
