"""Hold the verdicts of ``wrs-mm audit`` against brute force on every model family: docs/families.md.

    python tools/audit_families.py                              # all families: about an hour
    python tools/audit_families.py mmdet::yolox/yolox_tiny_8xb8-300e_coco.py     # this row, the others stay

One configuration stands for each folder that mmdet and mmseg carry. Each is examined in a process of its own,
with a limit on its time and memory, so that one that fails is a row that says why and nothing else.

More than a third of its more than 400 lines is the list of configurations and the document's text.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import textwrap
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SIZES = (64, 128, 256, 512)
REGIONS = 32
GIB = 2**30

MMDET = """
atss/atss_r50_fpn_1x_coco
autoassign/autoassign_r50-caffe_fpn_1x_coco
boxinst/boxinst_r50_fpn_ms-90k_coco
carafe/faster-rcnn_r50_fpn-carafe_1x_coco
cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco
cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco
centernet/centernet_r18_8xb16-crop512-140e_coco
centripetalnet/centripetalnet_hourglass104_16xb6-crop511-210e-mstest_coco
condinst/condinst_r50_fpn_ms-poly-90k_coco_instance
conditional_detr/conditional-detr_r50_8xb2-50e_coco
convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco
cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco
crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman
dab_detr/dab-detr_r50_8xb2-50e_coco
dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco
dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco
ddod/ddod_r50_fpn_1x_coco
ddq/ddq-detr-4scale_r50_8xb2-12e_coco
deformable_detr/deformable-detr_r50_16xb2-50e_coco
detectors/detectors_htc-r50_1x_coco
detr/detr_r18_8xb2-500e_coco
dino/dino-4scale_r50_8xb2-12e_coco
double_heads/dh-faster-rcnn_r50_fpn_1x_coco
dyhead/atss_r50_fpn_dyhead_1x_coco
dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco
efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco
empirical_attention/faster-rcnn_r50-attn1111_fpn_1x_coco
fast_rcnn/fast-rcnn_r50_fpn_1x_coco
faster_rcnn/faster-rcnn_r50_fpn_1x_coco
fcos/fcos_r50-caffe_fpn_gn-head_1x_coco
foveabox/fovea_r50_fpn_4xb4-1x_coco
fpg/retinanet_r50_fpg_crop640_50e_coco
free_anchor/freeanchor_r50_fpn_1x_coco
fsaf/fsaf_r50_fpn_1x_coco
gcnet/mask-rcnn_r50-syncbn-gcb-r4-c3-c5_fpn_1x_coco
gfl/gfl_r50_fpn_1x_coco
ghm/retinanet_r50_fpn_ghm-1x_coco
glip/glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365
gn/mask-rcnn_r50_fpn_gn-all_2x_coco
gn+ws/mask-rcnn_r50_fpn_gn-ws-all_2x_coco
grid_rcnn/grid-rcnn_r50_fpn_gn-head_1x_coco
groie/mask-rcnn_r50_fpn_groie_1x_coco
grounding_dino/grounding_dino_r50_scratch_8xb2_1x_coco
guided_anchoring/ga-retinanet_r50_fpn_1x_coco
hrnet/faster-rcnn_hrnetv2p-w18-1x_coco
htc/htc_r50_fpn_1x_coco
lad/lad_r50-paa-r101_fpn_2xb8_coco_1x
ld/ld_r18-gflv1-r101_fpn_1x_coco
libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco
lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1
mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic
mask_rcnn/mask-rcnn_r50_fpn_1x_coco
maskformer/maskformer_r50_ms-16xb1-75e_coco
mm_grounding_dino/grounding_dino_swin-t_pretrain_obj365
ms_rcnn/ms-rcnn_r50_fpn_1x_coco
nas_fcos/nas-fcos_r50-caffe_fpn_nashead-gn-head_4xb4-1x_coco
nas_fpn/retinanet_r50_nasfpn_crop640-50e_coco
openimages/ssd300_32xb8-36e_openimages
paa/paa_r50_fpn_1x_coco
pafpn/faster-rcnn_r50_pafpn_1x_coco
panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco
pisa/faster-rcnn_r50_fpn_pisa_1x_coco
point_rend/point-rend_r50-caffe_fpn_ms-1x_coco
pvt/retinanet_pvt-t_fpn_1x_coco
queryinst/queryinst_r50_fpn_1x_coco
regnet/retinanet_regnetx-800MF_fpn_1x_coco
reppoints/reppoints-moment_r50_fpn_1x_coco
res2net/faster-rcnn_res2net-101_fpn_2x_coco
resnest/faster-rcnn_s50_fpn_syncbn-backbone+head_ms-range-1x_coco
resnet_strikes_back/retinanet_r50-rsb-pre_fpn_1x_coco
retinanet/retinanet_r18_fpn_1x_coco
rpn/rpn_r50_fpn_1x_coco
rtmdet/rtmdet_tiny_8xb32-300e_coco
rtmdet/rtmdet-ins_tiny_8xb32-300e_coco
sabl/sabl-retinanet_r50_fpn_1x_coco
scnet/scnet_r50_fpn_1x_coco
scratch/mask-rcnn_r50-scratch_fpn_gn-all_6x_coco
seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_random-ms-2x_lvis-v1
simple_copy_paste/mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_32xb2-ssj-90k_coco
soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco
solo/solo_r50_fpn_1x_coco
solov2/solov2_r50_fpn_1x_coco
sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco
ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco
strong_baselines/mask-rcnn_r50_fpn_rpn-2conv_4conv1fc_syncbn-all_lsj-50e_coco
swin/retinanet_swin-t-p4-w7_fpn_1x_coco
timm_example/retinanet_timm-tv-resnet50_fpn_1x_coco
tood/tood_r50_fpn_1x_coco
tridentnet/tridentnet_r50-caffe_1x_coco
vfnet/vfnet_r50_fpn_1x_coco
yolact/yolact_r50_1xb8-55e_coco
yolo/yolov3_mobilenetv2_8xb24-320-300e_coco
yolof/yolof_r50-c5_8xb8-1x_coco
yolox/yolox_tiny_8xb8-300e_coco
""".split()

MMSEG = """
ann/ann_r50-d8_4xb4-80k_ade20k-512x512
apcnet/apcnet_r50-d8_4xb4-80k_ade20k-512x512
beit/beit-base_upernet_8xb2-160k_ade20k-640x640
bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024
bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024
ccnet/ccnet_r50-d8_4xb4-80k_ade20k-512x512
cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680
convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512
danet/danet_r50-d8_4xb4-80k_ade20k-512x512
ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024
deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024
deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024
dmnet/dmnet_r50-d8_4xb4-80k_ade20k-512x512
dnlnet/dnl_r50-d8_4xb4-80k_ade20k-512x512
dpt/dpt_vit-b16_8xb2-160k_ade20k-512x512
emanet/emanet_r50-d8_4xb2-80k_cityscapes-512x1024
encnet/encnet_r50-d8_4xb4-80k_ade20k-512x512
erfnet/erfnet_fcn_4xb4-160k_cityscapes-512x1024
fastfcn/fastfcn_r50-d32_jpu_psp_4xb4-80k_ade20k-512x512
fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024
fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024
gcnet/gcnet_r50-d8_4xb4-80k_ade20k-512x512
hrnet/fcn_hr18s_4xb4-80k_ade20k-512x512
icnet/icnet_r18-d8_4xb2-80k_cityscapes-832x832
isanet/isanet_r50-d8_4xb4-80k_ade20k-512x512
knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512
mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512
mask2former/mask2former_r50_8xb2-160k_ade20k-512x512
maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512
mobilenet_v2/mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024
mobilenet_v3/mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024
nonlocal_net/nonlocal_r50-d8_4xb4-80k_ade20k-512x512
ocrnet/ocrnet_hr18s_4xb4-80k_ade20k-512x512
pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes
point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024
poolformer/fpn_poolformer_s12_8xb4-40k_ade20k-512x512
psanet/psanet_r50-d8_4xb4-80k_ade20k-512x512
pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024
resnest/resnest_s101-d8_fcn_4xb2-80k_cityscapes-512x1024
san/san-vit-b16_coco-stuff164k-640x640
segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512
segmenter/segmenter_vit-s_fcn_8xb1-160k_ade20k-512x512
segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512
sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024
setr/setr_vit-l_pup_8xb2-160k_ade20k-512x512
stdc/stdc1_4xb12-80k_cityscapes-512x1024
swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512
twins/twins_pcpvt-s_fpn_fpnhead_8xb4-80k_ade20k-512x512
unet/unet-s5-d16_fcn_4xb4-40k_drive-64x64
upernet/upernet_r18_4xb4-80k_ade20k-512x512
vit/vit_deit-s16_upernet_8xb2-80k_ade20k-512x512
vpd/vpd_sd_4xb8-25k_nyu-480x480
""".split()

CONFIGS = [f"mmdet::{name}.py" for name in MMDET] + [f"mmseg::{name}.py" for name in MMSEG]

EMPTY = {False: "objects", "first": "one empty image", "all": "no object"}


# -- one family, in its own process -------------------------------------------------------------------


def examine(name: str) -> dict[str, Any]:
    """Everything that a row says of one configuration."""
    from torch.nn.modules.batchnorm import _BatchNorm

    from wrs_mm.audit.verdicts import audit_model
    from wrs_mm.openmmlab.configs import load_config
    from wrs_mm.openmmlab.synthetic import build_model, random_batch, smallest_size

    config = load_config(name)
    cut_regions(config.model)
    model = build_model(config)
    size = smallest_size(model, sizes=SIZES)
    batches = {what: random_batch(model, size=size, empty=empty) for empty, what in EMPTY.items()}
    folded = audit_model(model, batches["objects"], frozen_bn="fold")
    result = {"size": size, "weights": len(folded), "fold": sum(v.selected for v in folded)}
    result["recipe"] = compare(model, batches)
    frozen = [m for m in model.modules() if isinstance(m, _BatchNorm) and not m.training]
    if frozen:
        for module in frozen:
            module.train()
        result["trained"] = compare(model, batches)
    return result


def cut_regions(node: Any) -> None:
    """Let second stages sample fewer regions, in place: 512 an image take minutes and say no more."""
    if isinstance(node, dict):
        if "Sampler" in str(node.get("type")) and isinstance(node.get("num"), int):
            node["num"] = min(node["num"], REGIONS)
        for key, value in node.items():
            if key in ("nms_pre", "max_per_img") and isinstance(value, int):
                node[key] = min(value, 2 * REGIONS)
            cut_regions(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            cut_regions(value)


def compare(model: Any, batches: dict[str, Any]) -> dict[str, Any]:
    """Verdicts against brute force, and the verdicts with one batch against those with another."""
    from wrs_mm.audit.brute_force import verify
    from wrs_mm.audit.verdicts import audit_model

    verdicts = audit_model(model, batches["objects"])
    differing = {}
    for what, batch in list(batches.items())[1:]:
        other = {v.name: v.scale_invariant for v in audit_model(model, batch)}
        differing[what] = [v.name for v in verdicts if other[v.name] != v.scale_invariant]
    found = verify(model, batches["objects"], verdicts, quick=True)
    return {
        "invariant": sum(v.scale_invariant for v in verdicts),
        "rescaled": sum(v.selected for v in verdicts),
        "dtype": str(found.dtype).removeprefix("torch."),
        "loss_change": max(
            (found.loss_change[v.name] or 0.0 for v in verdicts if v.scale_invariant), default=None
        ),
        "affects_loss": sum(found.affects_loss(v.name) for v in verdicts),
        "disagreements": found.disagreements(verdicts),
        "differing": {what: names for what, names in differing.items() if names},
        "details": [
            [v.name, v.scale_invariant, found.loss_change[v.name], found.radial[v.name], v.reason]
            for v in verdicts
        ],
    }


def work(name: str, output: Path, memory: float) -> None:
    """Examine one configuration and write what came out, or why nothing did."""
    log = os.open(output.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    limit = int(memory * GIB)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    start = time.monotonic()
    try:
        result = examine(name)
    except Exception as error:  # whatever a model raises is its row
        traceback.print_exc()
        result = {"error": reason_of(error)}
    result["seconds"] = round(time.monotonic() - start, 1)
    output.write_text(json.dumps(result, indent=1), encoding="utf-8")


def reason_of(error: BaseException) -> str:
    """One line that fits a table."""
    from wrs_mm.values import one_line

    # Which config it is, the row says, and without this machine's folders.
    text = re.sub(r"^config \S+ ", "", one_line(error)) or type(error).__name__
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return "needs more memory than the limit"
    return text if len(text) <= 160 else f"{text[:157]}..."


# -- the table ----------------------------------------------------------------------------------------

HEAD = """\
# The verdicts on every model family

One configuration stands for each folder of mmdet {mmdet} and mmseg {mmseg}. `tools/audit_families.py` wrote
this file; `python tools/audit_families.py CONFIG ...` makes single rows again.

Each model is the recipe's own, at full width, with random weights, two images of random pixels (the smallest
of 64, 128, 256 and 512 pixels that it trains on) and made-up annotations. Second stages sample {regions}
regions an image.

| column | says |
|---|---|
| weights | convolution and linear weights of the model |
| invariant | those of them that `wrs-mm audit` finds scale-invariant, filter by filter |
| BN trained | the same after every frozen BN was made to normalize with the batch's statistics |
| skip, fold | those that WRS rescales with `frozen_bn='skip'` and with `'fold'` |
| loss change | how far the loss changed, as a share of it, with all invariant weights multiplied at once |
| affect loss | the weights where this loss has a gradient at all: only for them can a «no» be confirmed |
| agrees | whether brute force confirms every verdict, with BN as in the recipe and trained |
| empty | whether the verdicts stay the same when one image, and when no image, holds an object |

Brute force multiplies filters by random factors from 1/4 to 4 and looks at the loss, in {dtypes}, with the
ε of every norm layer made negligible and its γ and β random. Of a weight that is not invariant it first
asks whether the loss's gradient points along its filters, and multiplies it, alone, only where it does not.

{summary}

"""
COLUMNS = (
    "| config | weights | invariant | BN trained | skip | fold | loss change | affect loss | agrees | empty |"
)
RULE = "|---|--:|--:|--:|--:|--:|--:|--:|---|---|"
CANNOT = "| cannot run: "


def row_of(name: str, result: dict[str, Any]) -> str:
    """A row of the table."""
    if "error" in result:
        return f"| `{name}` {CANNOT}{result['error'].replace('|', '/')} |" + " |" * 8
    recipe = result["recipe"]
    passes = [recipe, *([result["trained"]] if "trained" in result else [])]
    change = max((p["loss_change"] for p in passes if p["loss_change"] is not None), default=None)
    wrong = list(dict.fromkeys(n for p in passes for n in p["disagreements"]))
    differing = list(dict.fromkeys(what for p in passes for what in p["differing"]))
    precision = {p["dtype"] for p in passes} - {"float64"}
    cells = [
        f"`{name}`",
        result["weights"],
        recipe["invariant"],
        result["trained"]["invariant"] if "trained" in result else recipe["invariant"],
        recipe["rescaled"],
        result["fold"],
        "" if change is None else f"{change:.0e}" if change else "0",
        max(p["affects_loss"] for p in passes),
        ("**no**: " + ", ".join(wrong) if wrong else "yes") + "".join(f", in {p}" for p in precision),
        "**differs**: " + ", ".join(differing) if differing else "same",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def read_rows(path: Path) -> dict[str, str]:
    """The rows of a table that was written before, by configuration."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.split("`")[1]: line for line in lines if line.startswith("| `mm")}


def write_table(path: Path, rows: dict[str, str]) -> None:
    """Write all rows, in the order of the list above."""
    from importlib.metadata import version

    from wrs_mm.files import write_text

    order = {name: i for i, name in enumerate(CONFIGS)}
    names = sorted(rows, key=lambda name: (order.get(name, len(order)), name))
    ran = [name for name in names if CANNOT not in rows[name]]
    wrong = sum("**" in rows[name] for name in ran)
    families = {name.partition("/")[0] for name in ran}
    summary = (
        f"{len(ran)} configurations of {len(families)} families run here; brute force contradicts "
        + (f"verdicts on {wrong} of them." if wrong else "no verdict on any of them.")
        + f" {len(names) - len(ran)} do not run here, and their rows say why."
    )
    untried = sorted(
        {name.partition("/")[0] for name in CONFIGS} - {name.partition("/")[0] for name in names}
    )
    if untried:
        summary += f" Not tried yet: {', '.join(untried)}."
    single = any(", in float32" in rows[name] for name in ran)
    head = HEAD.format(
        mmdet=version("mmdet"),
        mmseg=version("mmsegmentation"),
        dtypes="float64" + (" (float32 where the row says so)" if single else ""),
        summary=textwrap.fill(summary, 110),
        regions=REGIONS,
    )
    text = head + "\n".join([COLUMNS, RULE, *(rows[name] for name in names)]) + "\n"
    write_text(path, text)


# -- all families -------------------------------------------------------------------------------------


def run_worker(context: Any, name: str, folder: Path, timeout: float, memory: float) -> dict[str, Any]:
    """Examine one configuration in a process of its own."""
    output = folder / (name.replace("/", "_").replace("::", "_").removesuffix(".py") + ".json")
    output.unlink(missing_ok=True)
    process = context.Process(target=work, args=(name, output, memory))
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        return {"error": f"takes longer than {timeout:g} s"}
    if not output.is_file():
        return {"error": f"the process ended with status {process.exitcode}"}
    result: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("configs", nargs="*", default=CONFIGS, help="default: the list in this file")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "families.md")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one config (%(default)s)")
    parser.add_argument("--memory", type=float, default=5, help="GiB for one process (%(default)s)")
    parser.add_argument("--details", type=Path, help="keep every verdict and log in this folder")
    args = parser.parse_args()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # Each process starts from one that has imported the toolboxes already.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["wrs_mm", "mmdet.models", "mmseg.models", "wrs_mm.audit.brute_force"])
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows = read_rows(args.output)
    wrong = 0
    with (
        tempfile.TemporaryDirectory() as scratch,
        Progress(
            BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}")
        ) as progress,
    ):
        folder = args.details or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        task = progress.add_task("", total=len(args.configs))
        for name in args.configs:
            progress.update(task, description=name)
            result = run_worker(context, name, folder, args.timeout, args.memory)
            rows[name] = row_of(name, result)
            wrong += "**" in rows[name]
            write_table(args.output, rows)
            progress.console.print(rows[name], highlight=False, markup=False)
            progress.advance(task)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
