"""Random changes to a minibatch of images, each image its own; they draw from torch's own stream."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def turned_and_shifted(x: Tensor, degrees: float, shift: float) -> Tensor:
    """Images (…, C, H, W) turned by up to so many degrees and shifted by up to a share of their size, pixels whole.

    As torchvision's RandomRotation and RandomAffine with translate, one after the other, do with their defaults:
    nearest pixels, black outside.
    """
    images = x.reshape(-1, *x.shape[-3:])
    n, _, height, width = images.shape
    angle = (torch.rand(n, device=x.device) * 2 - 1) * math.radians(degrees)
    size = torch.tensor([width, height], device=x.device)
    moved = ((torch.rand(n, 2, device=x.device) * 2 - 1) * shift * size).round() * 2 / size
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([cos, sin * height / width, -sin * width / height, cos], 1).view(n, 2, 2)
    theta = torch.cat([turn, -turn @ moved.unsqueeze(2)], 2)  # where each pixel comes from
    grid = functional.affine_grid(theta.to(x.dtype), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="nearest", align_corners=False).view_as(x)


def brightened(x: Tensor, by: float) -> Tensor:
    """Images (…, C, H, W) of pixels from 0 to 1, times up to 1 ± `by`, as torchvision's ColorJitter."""
    factor = 1 + by * (2 * torch.rand(*x.shape[:-3], 1, 1, 1, device=x.device, dtype=x.dtype) - 1)
    return (x * factor).clamp_(0, 1)


def cropped_and_flipped(x: Tensor, padding: int) -> Tensor:
    """Images (…, C, H, W) shifted by up to `padding` pixels each way, black outside, and half of them mirrored."""
    images = x.reshape(-1, *x.shape[-3:])
    n, _, height, width = images.shape
    padded = functional.pad(images, [padding] * 4)
    top, left = torch.randint(2 * padding + 1, (2, n), device=x.device)
    columns = torch.arange(width, device=x.device).repeat(n, 1)
    mirrored = torch.rand(n, device=x.device) < 0.5
    columns[mirrored] = columns[mirrored].flip(1)
    rows = top.unsqueeze(1) + torch.arange(height, device=x.device)
    columns += left.unsqueeze(1)
    every = torch.arange(n, device=x.device)
    # (n, H, W, C): channels last in memory, as convolutions like them
    return padded[every.view(-1, 1, 1), :, rows.unsqueeze(2), columns.unsqueeze(1)].movedim(3, 1).view(x.shape)
