"""Random augmentation of minibatches of images.

Each image has its own random numbers, which come from torch's global generator.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional


def rotate_and_shift(x: Tensor, degrees: float, shift: float) -> Tensor:
    """Rotate images and then shift them by whole pixels, like torchvision's RandomRotation and RandomAffine.

    Pixels are the nearest ones of the original; those from outside of it are black.

    Args:
        x: The images (…, C, H, W).
        degrees: The largest angle in either direction.
        shift: The largest shift in either direction, as a fraction of height and width.
    """
    images = x.reshape(-1, *x.shape[-3:])
    n, _, height, width = images.shape
    angle = (torch.rand(n, device=x.device) * 2 - 1) * math.radians(degrees)
    size = torch.tensor([width, height], device=x.device)
    # in the coordinates of affine_grid, in which an image is 2 wide and 2 high
    offset = ((torch.rand(n, 2, device=x.device) * 2 - 1) * shift * size).round() * 2 / size
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([cos, sin * height / width, -sin * width / height, cos], 1).view(n, 2, 2)
    theta = torch.cat([rotation, -rotation @ offset.unsqueeze(2)], 2)  # maps each output pixel to its origin
    grid = functional.affine_grid(theta.to(x.dtype), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="nearest", align_corners=False).view_as(x)


def change_brightness(x: Tensor, by: float) -> Tensor:
    """Multiply images (…, C, H, W) with pixels in [0, 1] by factors between 1 - by and 1 + by, like ColorJitter."""
    factor = 1 + by * (2 * torch.rand(*x.shape[:-3], 1, 1, 1, device=x.device, dtype=x.dtype) - 1)
    return (x * factor).clamp_(0, 1)


def crop_and_flip(x: Tensor, padding: int) -> Tensor:
    """Shift images (…, C, H, W) by up to `padding` pixels along each axis, black outside, and mirror half of them."""
    images = x.reshape(-1, *x.shape[-3:])
    n, _, height, width = images.shape
    padded = functional.pad(images, [padding] * 4)
    top, left = torch.randint(2 * padding + 1, (2, n), device=x.device)
    columns = torch.arange(width, device=x.device).repeat(n, 1)
    mirrored = torch.rand(n, device=x.device) < 0.5
    columns[mirrored] = columns[mirrored].flip(1)
    rows = top.unsqueeze(1) + torch.arange(height, device=x.device)
    columns += left.unsqueeze(1)
    image = torch.arange(n, device=x.device)
    # (n, H, W, C), that is, channels last in memory, which is the fastest layout for convolutions
    return padded[image.view(-1, 1, 1), :, rows.unsqueeze(2), columns.unsqueeze(1)].movedim(3, 1).view(x.shape)
