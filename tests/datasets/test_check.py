"""Every usual mistake in laying out COCO and Cityscapes is found, and what to do about it is right.

It is about all of the check: ``check_coco.py``, ``check_cityscapes.py``, and what they share in
``finding.py``, ``images.py`` and ``unpacking.py``. It is one file of more than 400 lines because the usual
mistakes concern several of them, and all are made on copies of the same two stand-ins.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from wrs_mm.cli import main
from wrs_mm.datasets import (
    check_cityscapes,
    check_coco,
    mini_detection,
    render_standins,
    standin,
    tune_split,
)
from wrs_mm.datasets.check import check
from wrs_mm.datasets.finding import Finding
from wrs_mm.errors import DatasetError

INSTANCES = "annotations/instances_train2017.json"
IMAGES = "leftImg8bit/train"
LABELS = "gtFine/train"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stand-ins, with a handful of images; tests damage copies of them."""
    root = tmp_path_factory.mktemp("standins")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_detection, "SPLITS", {"train2017": 4, "val2017": 3})
        patch.setattr(standin, "CITIES", {"train": {"a": 2, "b": 1}, "val": {"c": 2}})
        render_standins(root)
    for labels in (root / "standin-cityscapes/gtFine").rglob("*_labelIds.png"):
        labels.with_name(labels.name.replace("labelIds.png", "polygons.json")).write_text("{}")
    return root


@pytest.fixture
def coco(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A complete COCO 2017 of seven images."""
    monkeypatch.setattr(check_coco, "IMAGES", {"train2017": 4, "val2017": 3})
    monkeypatch.setattr(check_coco, "ANNOTATED", {"train2017": 4})
    return Path(shutil.copytree(rendered / "standin-coco", tmp_path / "data" / "coco"))


@pytest.fixture
def cityscapes(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A complete Cityscapes of five scenes."""
    monkeypatch.setattr(check_cityscapes, "IMAGES", {"train": 3, "val": 2, "test": 1})
    monkeypatch.setattr(check_cityscapes, "SIZE", (128, 256))
    return Path(shutil.copytree(rendered / "standin-cityscapes", tmp_path / "data" / "cityscapes"))


def problems(dataset: str, root: Path, **options: object) -> list[Finding]:
    """What is wrong with a dataset."""
    return [finding for finding in check(dataset, root, **options) if not finding.ok]  # type: ignore[arg-type]


def the_problem(dataset: str, root: Path) -> Finding:
    """The only thing that is wrong with a dataset."""
    found = problems(dataset, root)
    assert len(found) == 1, found
    return found[0]


def run_shell(remedy: str) -> None:
    """Do as a remedy says: the command stands behind its last colon and space."""
    subprocess.run(remedy.rsplit(": ", 1)[1], shell=True, check=True)


def first(folder: Path, pattern: str) -> Path:
    return min(folder.rglob(pattern))


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


# What both checks share.


@pytest.mark.parametrize("dataset", ["coco", "cityscapes"])
def test_a_complete_set_has_no_problem(dataset: str, request: pytest.FixtureRequest) -> None:
    assert problems(dataset, request.getfixturevalue(dataset)) == []


@pytest.mark.parametrize("dataset", ["coco", "cityscapes"])
def test_a_smaller_set_passes_only_when_it_may(dataset: str, rendered: Path) -> None:
    root = rendered / f"standin-{dataset}"
    assert problems(dataset, root, any_size=True) == []
    assert any("--any-size" in problem.remedy for problem in problems(dataset, root))


def test_the_counts_are_those_of_the_published_sets() -> None:
    assert check_coco.IMAGES == {"train2017": 118287, "val2017": 5000}
    assert check_coco.ANNOTATED == {"train2017": 117266}
    assert check_cityscapes.IMAGES == {"train": 2975, "val": 500, "test": 1525}
    assert check_cityscapes.SIZE == (1024, 2048)


def test_the_root_may_not_be_missing_or_a_part_of_the_set(coco: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        check("coco", coco / "gone")
    with pytest.raises(DatasetError, match="give the folder above"):
        check("coco", coco / "train2017")
    with pytest.raises(DatasetError, match="not a folder"):
        check("coco", coco / INSTANCES)


def test_one_level_too_high_says_which_folder_to_give(coco: Path) -> None:
    for problem in problems("coco", coco.parent):
        assert problem.remedy == f"give {coco} as the root"


def test_two_checks_of_one_seed_look_at_the_same_images(coco: Path) -> None:
    truncate(first(coco / "train2017", "*.jpg"))
    seen = {seed: bool(problems("coco", coco, count=1, seed=seed)) for seed in range(20)}
    assert seen == {seed: bool(problems("coco", coco, count=1, seed=seed)) for seed in range(20)}
    assert set(seen.values()) == {True, False}


# COCO.


def test_categories_are_those_of_mmdet() -> None:
    from mmdet.datasets import CocoDataset

    categories = check_coco.categories()
    assert tuple(categories.values()) == CocoDataset.METAINFO["classes"]
    assert (min(categories), max(categories), len(categories)) == (1, 90, 80)


@pytest.mark.parametrize("folder", ["annotations", "train2017"])
def test_coco_unpacked_too_deep_is_moved_by_the_command_given(coco: Path, folder: str) -> None:
    (coco / "images").mkdir()
    shutil.move(coco / folder, coco / "images" / folder)
    problem = the_problem("coco", coco)
    assert problem.part == f"{folder}/" and str(coco / "images") in problem.found
    run_shell(problem.remedy)
    assert problems("coco", coco) == []


@pytest.mark.parametrize("folder", ["annotations", "train2017"])
def test_a_doubled_folder_is_mended_by_the_command_given(coco: Path, folder: str) -> None:
    shutil.move(coco / folder, coco / "outer")
    (coco / folder).mkdir()
    shutil.move(coco / "outer", coco / folder / folder)
    problem = the_problem("coco", coco)
    assert problem.found == f"holds another {folder}/"
    run_shell(problem.remedy)
    assert problems("coco", coco) == []


def test_annotations_unpacked_beside_the_folder_are_moved_by_the_command_given(coco: Path) -> None:
    shutil.move(coco / INSTANCES, coco)
    problem = the_problem("coco", coco)
    run_shell(problem.remedy)
    assert problems("coco", coco) == []


@pytest.mark.parametrize("beside", ["coco", "."])
def test_a_zip_that_was_not_unpacked_is_found(coco: Path, beside: str) -> None:
    archive = (coco.parent / beside / "train2017.zip").resolve()
    with zipfile.ZipFile(archive, "w") as file:
        for image in (coco / "train2017").iterdir():
            file.write(image, f"train2017/{image.name}")
    shutil.rmtree(coco / "train2017")
    problem = the_problem("coco", coco)
    assert problem.remedy == f"unpack it: unzip -q {archive} -d {coco}"
    truncate(archive)
    assert "get" in the_problem("coco", coco).remedy and "again" in the_problem("coco", coco).remedy


def test_the_images_of_another_year_are_found(coco: Path) -> None:
    shutil.move(coco / "train2017", coco / "train2014")
    problem = the_problem("coco", coco)
    assert "train2014" in problem.found and "zips/train2017.zip" in problem.remedy
    shutil.move(coco / "train2014", coco / "train2017")
    for image in (coco / "train2017").iterdir():
        image.rename(image.with_name(f"COCO_train2014_{image.name}"))
    problem = the_problem("coco", coco)
    assert "another year" in problem.found and "zips/train2017.zip" in problem.remedy


@pytest.mark.parametrize(
    ("name", "what"),
    [("instances_train2014.json", "another year"), ("captions_train2017.json", "not the object instances")],
)
def test_other_annotation_files_are_told_from_the_right_one(coco: Path, name: str, what: str) -> None:
    (coco / INSTANCES).rename(coco / "annotations" / name)
    problem = the_problem("coco", coco)
    assert name in problem.found and what in problem.found
    assert "annotations_trainval2017.zip" in problem.remedy


def test_what_was_split_off_train2017_is_not_taken_for_another_year_s(coco: Path) -> None:
    (coco / INSTANCES).rename(coco / tune_split.COCO_FILES[1])
    problem = the_problem("coco", coco)
    assert problem.found == "missing" and "annotations_trainval2017.zip" in problem.remedy


def test_a_missing_folder_says_what_to_download(coco: Path) -> None:
    shutil.rmtree(coco / "val2017")
    assert "wget http://images.cocodataset.org/zips/val2017.zip" in the_problem("coco", coco).remedy


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b'{"images": [', "truncated or damaged"),
        (b"[]", "not a file of object instances"),
        (b'{"images": [], "annotations": []}', "lacks one of the lists"),
        (b'{"images": [{}], "annotations": [], "categories": []}', "not a file of object instances"),
    ],
)
def test_an_unusable_annotation_file_is_found(coco: Path, content: bytes, found: str) -> None:
    (coco / INSTANCES).write_bytes(content)
    problem = the_problem("coco", coco)
    assert problem.part == INSTANCES and found in problem.found
    assert "unzip -o annotations_trainval2017.zip" in problem.remedy


def test_a_truncated_annotation_file_is_found(coco: Path) -> None:
    truncate(coco / INSTANCES)
    assert "truncated" in the_problem("coco", coco).found


def test_other_categories_than_coco_s_are_found(coco: Path) -> None:
    content = json.loads((coco / INSTANCES).read_text())
    for index, category in enumerate(content["categories"], 1):
        category["id"] = index
    (coco / INSTANCES).write_text(json.dumps(content))
    assert "other identifiers" in the_problem("coco", coco).found
    content["categories"][0]["name"] = "human"
    (coco / INSTANCES).write_text(json.dumps(content))
    assert "human" in the_problem("coco", coco).found


def test_an_image_without_any_object_counts_as_not_annotated(coco: Path) -> None:
    content = json.loads((coco / INSTANCES).read_text())
    content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] != 1]
    (coco / INSTANCES).write_text(json.dumps(content))
    problem = the_problem("coco", coco)
    assert "3 of them with objects" in problem.found and "4 with objects" in problem.remedy


def test_a_half_copied_folder_is_found(coco: Path) -> None:
    lost = first(coco / "train2017", "*.jpg")
    lost.unlink()
    problem = the_problem("coco", coco)
    assert problem.found == f"3 of 4 images (without {lost.name})"
    # Without the annotation file there is the count alone.
    (coco / INSTANCES).unlink()
    assert any(problem.found == "3 of 4 images" for problem in problems("coco", coco))


def test_an_empty_image_file_is_found(coco: Path) -> None:
    empty = first(coco / "val2017", "*.jpg")
    empty.write_bytes(b"")
    assert the_problem("coco", coco).found == f"1 empty files ({empty.name})"


def test_a_truncated_image_is_found(coco: Path) -> None:
    broken = first(coco / "train2017", "*.jpg")
    truncate(broken)
    problem = the_problem("coco", coco)
    assert broken.name in problem.found and "do not decode" in problem.found


def test_images_that_are_not_the_annotated_ones_are_found(coco: Path) -> None:
    other = first(coco / "train2017", "*.jpg")
    cv2.imwrite(str(other), np.zeros((64, 32, 3), np.uint8))
    assert "another size" in the_problem("coco", coco).found


# Cityscapes.


def test_label_ids_in_place_of_train_ids_are_found(cityscapes: Path) -> None:
    for labels in (cityscapes / LABELS).rglob("*_labelIds.png"):
        shutil.copy(labels, labels.with_name(labels.name.replace("labelIds", "labelTrainIds")))
    problem = the_problem("cityscapes", cityscapes)
    assert "labelIds in place of labelTrainIds" in problem.found
    assert "csCreateTrainIdLabelImgs" in problem.remedy


def test_missing_train_ids_come_with_the_command_that_makes_them(cityscapes: Path) -> None:
    for labels in cityscapes.rglob("*_labelTrainIds.png"):
        labels.unlink()
    found = problems("cityscapes", cityscapes)
    assert [problem.part for problem in found] == ["gtFine/train/", "gtFine/val/"]
    assert found[0].found == "3 of 3 images have no labelTrainIds map (labelIds instead)"
    command = f"CITYSCAPES_DATASET={cityscapes} csCreateTrainIdLabelImgs"
    assert found[0].remedy == f"make them: pip install cityscapesscripts, then {command}"


def test_train_ids_cannot_be_made_without_polygons(cityscapes: Path) -> None:
    for path in [*cityscapes.rglob("*_labelTrainIds.png"), *cityscapes.rglob("*_polygons.json")]:
        path.unlink()
    for problem in problems("cityscapes", cityscapes):
        assert "unzip -o -q gtFine_trainvaltest.zip" in problem.remedy


def test_train_ids_that_do_not_agree_with_label_ids_are_found(cityscapes: Path) -> None:
    path = first(cityscapes / LABELS, "*_labelTrainIds.png")
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    labels[labels == 0] = 1
    cv2.imwrite(str(path), labels)
    assert "do not agree with labelIds" in the_problem("cityscapes", cityscapes).found


@pytest.mark.parametrize(
    ("kind", "other", "archive"),
    [
        ("leftImg8bit", "gtFine", "leftImg8bit_trainvaltest.zip"),
        ("gtFine", "leftImg8bit", "gtFine_trainvaltest.zip"),
    ],
)
def test_labels_without_images_and_images_without_labels_are_found(
    cityscapes: Path, kind: str, other: str, archive: str
) -> None:
    shutil.move(cityscapes / kind, cityscapes / "kept")
    problem = the_problem("cityscapes", cityscapes)
    assert problem.part == f"{kind}/" and f"csDownload {archive}" in problem.remedy
    with zipfile.ZipFile(cityscapes / archive, "w") as file:
        file.writestr("README", "")
    problem = the_problem("cityscapes", cityscapes)
    assert problem.remedy == f"unpack it: unzip -q {cityscapes / archive} -d {cityscapes}"


def test_each_archive_in_its_own_folder_is_moved_by_the_commands_given(cityscapes: Path) -> None:
    for kind in ("leftImg8bit", "gtFine"):
        (cityscapes / f"{kind}_trainvaltest").mkdir()
        shutil.move(cityscapes / kind, cityscapes / f"{kind}_trainvaltest" / kind)
    found = problems("cityscapes", cityscapes)
    assert [problem.part for problem in found] == ["leftImg8bit/", "gtFine/"]
    for problem in found:
        run_shell(problem.remedy)
    assert problems("cityscapes", cityscapes) == []


def test_a_doubled_folder_of_cityscapes_is_mended_by_the_command_given(cityscapes: Path) -> None:
    shutil.move(cityscapes / "gtFine", cityscapes / "outer")
    (cityscapes / "gtFine").mkdir()
    shutil.move(cityscapes / "outer", cityscapes / "gtFine" / "gtFine")
    run_shell(the_problem("cityscapes", cityscapes).remedy)
    assert problems("cityscapes", cityscapes) == []


def test_half_copied_images_and_label_maps_are_found(cityscapes: Path) -> None:
    image = first(cityscapes / IMAGES, "*.png")
    image.rename(cityscapes / "kept.png")
    problem = the_problem("cityscapes", cityscapes)
    assert problem.part == f"{IMAGES}/" and "a/a_000000_000019" in problem.found
    (cityscapes / "kept.png").rename(image)
    shutil.rmtree(cityscapes / LABELS / "b")
    problem = the_problem("cityscapes", cityscapes)
    assert problem.found == "1 of 3 images have no labelTrainIds map (no other label maps instead)"


def test_a_whole_city_missing_from_both_folders_is_found_by_the_count(cityscapes: Path) -> None:
    for folder in (IMAGES, LABELS):
        shutil.rmtree(cityscapes / folder / "b")
    assert the_problem("cityscapes", cityscapes).found == "2 of 3 images"


@pytest.mark.parametrize("pattern", ["*_leftImg8bit.png", "*_labelTrainIds.png"])
def test_truncated_and_empty_pngs_are_found(cityscapes: Path, pattern: str) -> None:
    path = first(cityscapes, pattern)
    truncate(path)
    assert any("do not decode" in problem.found for problem in problems("cityscapes", cityscapes))
    path.write_bytes(b"")
    assert any(problem.found.startswith("1 empty files") for problem in problems("cityscapes", cityscapes))


def test_images_scaled_down_are_found(cityscapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_cityscapes, "SIZE", (1024, 2048))
    assert all("another size" in problem.found for problem in problems("cityscapes", cityscapes))


def test_the_test_split_may_be_missing_but_not_in_part(cityscapes: Path) -> None:
    (cityscapes / "leftImg8bit/test/d").mkdir(parents=True)
    problem = the_problem("cityscapes", cityscapes)
    assert (problem.part, problem.found) == ("leftImg8bit/test/", "no images")


# The command.


def test_the_command_prints_every_part_and_fails_in_one_line(
    coco: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["data", "check", "coco", str(coco)]) == 0
    captured = capsys.readouterr()
    assert [line.split("\t")[0] for line in captured.out.splitlines()] == ["ok"] * 8
    assert captured.err == ""
    (coco / INSTANCES).write_bytes(b"")
    assert main.main(["data", "check", "coco", str(coco)]) == 2
    captured = capsys.readouterr()
    assert f"problem\t{INSTANCES}\tempty\n" in captured.out
    assert f"1. {INSTANCES}: unpack it again: unzip -o annotations_trainval2017.zip" in captured.out
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("wrs-mm data check: error: 1 of 7 checks")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check"], "the following arguments are required: {coco,cityscapes,imagenet}, ROOT"),
        (["check", "voc", "."], "invalid choice: 'voc'"),
        (["check", "coco", ".", "--sample", "0"], "'0' is not a whole number of at least 1"),
        (["check", "coco", "nowhere"], "nowhere does not exist"),
    ],
)
def test_a_mistake_in_the_arguments_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["data", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""
