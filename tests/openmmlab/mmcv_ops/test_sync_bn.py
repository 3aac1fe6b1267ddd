"""mmcv's synchronized BN is BN of one process, and BN of all processes' batches together."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from commands import run, succeed
from layouts import layouts, random
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext
from wrs_mm.openmmlab.mmcv_ops.sync_bn import (
    sync_bn_backward_data,
    sync_bn_backward_param,
    sync_bn_forward_mean,
    sync_bn_forward_output,
    sync_bn_forward_var,
)
from wrs_mm.rescaling.observer import observe
from wrs_mm.rescaling.verdicts import judge

provide_mmcv_ext()

from mmcv.ops import SyncBatchNorm  # noqa: E402


@pytest.fixture
def one_process():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def norms(**options):
    """mmcv's and torch's, with the same γ, β and running statistics."""
    torch.manual_seed(0)
    theirs = nn.BatchNorm2d(3, **options)
    for tensor in (*theirs.parameters(), theirs.running_mean, theirs.running_var):
        nn.init.uniform_(tensor, 0.5, 2.0)
    ours = SyncBatchNorm(3, **options)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def run_norm(norm, x, grad):
    leaf = x.detach().clone().requires_grad_()
    out = norm(leaf)
    out.backward(grad)
    return [out, leaf.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]


def step(x, weight, bias, running, momentum=0.1, grad=None):
    """The five functions as mmcv calls them on one process, in the type of the weight."""
    mean, var, std, grad_weight, grad_bias = (torch.zeros_like(weight) for _ in range(5))
    norm, out, grad_input = torch.zeros_like(x, dtype=weight.dtype), torch.zeros_like(x), torch.zeros_like(x)
    sync_bn_forward_mean(x, mean)
    sync_bn_forward_var(x, mean, var)
    sync_bn_forward_output(x, mean, var, weight, bias, *running, norm, std, out, 1e-5, momentum, 1)
    grad = random(*x.shape, seed=1, dtype=x.dtype) if grad is None else grad
    sync_bn_backward_param(grad, norm, grad_weight, grad_bias)
    sync_bn_backward_data(grad, weight, grad_weight, grad_bias, norm, std, grad_input)
    return [out, grad_input, grad_weight, grad_bias, *running], grad


@pytest.mark.parametrize("shape", [(4, 3, 5), (1, 3, 2), (6, 3, 1)])
def test_in_float64_it_is_batch_normalization(shape):
    x = 2 * random(*shape) + 1
    theirs = nn.BatchNorm1d(3).double()
    nn.init.uniform_(theirs.weight)
    nn.init.uniform_(theirs.bias)
    weight, bias = theirs.weight.detach().clone(), theirs.bias.detach().clone()
    running = theirs.running_mean.clone(), theirs.running_var.clone()
    actual, grad = step(x, weight, bias, running)
    for ours, expected in zip(actual, run_norm(theirs, x, grad), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_without_weights_and_statistics_it_only_normalizes():
    x = random(4, 3, 5)
    mean, var, std = (torch.zeros(3, dtype=torch.float64) for _ in range(3))
    norm, out = torch.zeros_like(x), torch.zeros_like(x)
    sync_bn_forward_mean(x, mean)
    sync_bn_forward_var(x, mean, var)
    sync_bn_forward_output(x, mean, var, None, None, None, None, norm, std, out, 1e-5, 0.1, 1)
    torch.testing.assert_close(out, nn.functional.batch_norm(x, None, None, training=True))


@pytest.mark.parametrize("stats_mode", ["default", "N"])
def test_the_layer_of_one_process_is_batch_normalization(one_process, stats_mode):
    ours, theirs = norms()
    ours.stats_mode = stats_mode
    grad = random(4, 3, 5, 6, seed=1, dtype=torch.float32)
    for seed in (2, 3):  # twice: running statistics move on
        x = random(4, 3, 5, 6, seed=seed, dtype=torch.float32)
        for norm in (ours, theirs):
            norm.zero_grad()
        for actual, expected in zip(run_norm(ours, x, grad), run_norm(theirs, x, grad), strict=True):
            torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_a_channels_last_batch_gives_the_same(one_process):
    x, grad = (random(4, 3, 5, 6, seed=seed, dtype=torch.float32) for seed in (1, 2))
    expected = run_norm(norms()[0], x, grad)
    channels_last, layer = layouts(x)[-1], norms()[0]
    for actual, right in zip(run_norm(layer, channels_last, layouts(grad)[-1]), expected, strict=True):
        torch.testing.assert_close(actual, right)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_has_the_statistics_of_float32(dtype):
    x = (2 * random(4, 3, 50) + 1).to(dtype)
    weight, bias = torch.full((3,), 1.5), torch.full((3,), 0.5)
    results = []
    for kind in (dtype, torch.float64):
        running = torch.zeros(3), torch.ones(3)
        parameters = (weight, bias) if kind == dtype else (weight.double(), bias.double())
        statistics = running if kind == dtype else tuple(t.double() for t in running)
        results.append(step(x.to(kind), *parameters, statistics)[0])
    for actual, expected in zip(results[0][-2:], results[1][-2:], strict=True):
        torch.testing.assert_close(actual, expected.float())
    torch.testing.assert_close(results[0][0], results[1][0].to(dtype))


def test_an_empty_batch_changes_no_statistics_and_has_no_gradient(one_process):
    ours, _ = norms()
    before = copy.deepcopy(ours.state_dict())
    x = torch.zeros(0, 3, 5, 6, requires_grad=True)
    out = ours(x)
    out.sum().backward()
    assert out.shape == x.shape
    assert not ours.weight.grad.any() and not ours.bias.grad.any()
    for name in ("running_mean", "running_var"):
        assert torch.equal(ours.state_dict()[name], before[name])


def test_a_convolution_before_it_is_scale_invariant(one_process):
    model = nn.Sequential(nn.Conv2d(2, 3, 3), SyncBatchNorm(3), nn.ReLU(), nn.Conv2d(3, 1, 1))
    with observe(model) as observation:
        model(torch.rand(2, 2, 8, 8)).sum()
    verdicts = {verdict.name: verdict for verdict in judge(observation)}
    assert verdicts["0.weight"].scale_invariant and verdicts["0.weight"].norm_layers == ("1",)
    assert not verdicts["3.weight"].scale_invariant


def test_tensors_of_a_gpu_stay_there():
    with FakeTensorMode(), torch.device("cuda:0"):
        weight, running = torch.ones(3), (torch.zeros(3), torch.ones(3))
        x = torch.empty(4, 3, 5)
        out, grad_input, *_ = step(x, weight, weight, running, momentum=torch.tensor(0.1), grad=x)[0]
        assert out.device == grad_input.device == x.device


@pytest.mark.slow
@pytest.mark.dist
def test_two_processes_normalize_as_one_with_both_batches_also_if_one_is_empty():
    root = Path(__file__).parents[3]
    script = root / "tests" / "helpers" / "sync_bn_ranks.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = run([*command, str(script)], cwd=root, environment={"OMP_NUM_THREADS": "1"})
    succeed(done)
    for case in ("equal", "empty"):
        assert all(f"{case}, rank {rank}: as one process" in done.stdout for rank in (0, 1))
