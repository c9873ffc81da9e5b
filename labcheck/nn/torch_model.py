"""Modules of torch.nn in the training loop, with gradients by autograd."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from labcheck.data.examples import generators
from labcheck.nn.model import Model, views


class TorchModel(Model):
    """One model (K = 1) that is a module of torch.nn.

    The module's parameters, and the other floating-point tensors of its `state_dict`, become views into `state`.

    Args:
        module: A module that maps examples (B, …) to outputs (B, out).
    """

    def __init__(self, module: nn.Module):
        self.module = module
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        stored = module.state_dict(keep_vars=True).values()
        running = [tensor for tensor in stored if tensor.is_floating_point() and not tensor.requires_grad]
        self.tensors = [*trained, *running]
        self.size = sum(tensor.numel() for tensor in trained)
        rows = [_channels_last(tensor.detach()).flatten() for tensor in self.tensors]
        self.bind(torch.cat(rows).unsqueeze(0))

    def bind(self, state: Tensor) -> None:
        """Use `state`, (1, P + S), as the storage of the module's tensors, and set all gradients to 0."""
        super().bind(state)
        shapes = [_channels_last(tensor).shape for tensor in self.tensors]
        for tensor, value in zip(self.tensors, views(state, shapes, 0)[0], strict=True):
            tensor.data = _channels_first(value[0])
        trained = [tensor for tensor in self.tensors if tensor.requires_grad]
        for tensor, gradient in zip(trained, views(self.gradients, shapes[: len(trained)], 0)[0], strict=True):
            tensor.grad = _channels_first(gradient[0])

    def predict(self, x: Tensor, training: bool = False) -> Tensor:
        self.module.train(training)
        with torch.set_grad_enabled(training):
            self.output = self.module(x[0])
        outputs: Tensor = self.output.detach()
        return outputs.mT.unsqueeze(0)

    def backward(self, g: Tensor) -> None:
        self.gradients.zero_()
        self.output.backward(g[0].mT)


def _channels_last(weight: Tensor) -> Tensor:
    """Return a view (out, H, W, in) of the weight of a convolution (out, in, H, W), or any other tensor unchanged.

    Weights are stored in this order, because convolutions are fastest with channels last in memory.
    """
    return weight.movedim(1, 3) if weight.dim() == 4 else weight


def _channels_first(weight: Tensor) -> Tensor:
    """Return the view (out, in, H, W) that torch requires of a weight (out, H, W, in): undo `_channels_last`."""
    return weight.movedim(3, 1) if weight.dim() == 4 else weight


class Standardize(nn.Module):
    """The standardization of images: subtract each channel's mean, and divide by its standard deviation.

    Args:
        mean: The mean of each channel, (C,).
        std: The standard deviation of each channel, (C,).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("mean", mean.view(-1, 1, 1), persistent=False)
        self.register_buffer("std", std.view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, C, H, W) to standardized images of that shape, with channels last in memory."""
        # torch cannot derive this memory format from images with a single channel, and all later layers inherit it
        y = torch.empty_like(x, memory_format=torch.channels_last)
        return torch.sub(x, self.mean, out=y).div_(self.std)


class BFloat16(nn.Sequential):
    """A chain of modules that multiply bfloat16 numbers; the input and the output are float32."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply all modules to `x` in turn."""
        with torch.autocast(x.device.type, torch.bfloat16):
            y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return y.float()


def initialize(module: nn.Module, seed: int) -> nn.Module:
    """Draw the parameters of each submodule from a random stream derived from the submodule's name.

    Architectures that share some submodules therefore have equal initial weights in these.

    Args:
        module: The module, which is changed in place.
        seed: The seed of all streams.

    Returns:
        The module.
    """
    for name, submodule in module.named_modules():
        if hasattr(submodule, "reset_parameters"):
            with seeded(generators([seed], f"init {name}")[0].initial_seed()):
                submodule.reset_parameters()
    return module


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed torch's global random streams, and restore their state afterwards.

    Args:
        seed: The seed.
        device: The device whose stream is seeded in addition to the CPU's. Other devices are left alone, because
            touching one would start CUDA.
    """
    gpus = [] if device == "cpu" else [device]
    with torch.random.fork_rng(gpus):
        (torch.manual_seed if gpus else torch.default_generator.manual_seed)(seed)
        yield
