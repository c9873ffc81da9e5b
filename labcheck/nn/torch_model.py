"""Any torch.nn module in the training loop, one at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from labcheck.data.examples import generators
from labcheck.nn.model import Model, views


class TorchModel(Model):
    """A module that takes examples (B, …) and gives (B, out): a stack of one, with gradients by autograd.

    Its parameters, and what else its `state_dict` has of floating-point numbers, become views into `state`.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        kept = module.state_dict(keep_vars=True).values()
        running = [tensor for tensor in kept if tensor.is_floating_point() and not tensor.requires_grad]
        self.tensors = [*trained, *running]
        self.size = sum(tensor.numel() for tensor in trained)
        numbers = [_last(tensor.detach()).flatten() for tensor in self.tensors]
        self.bind(torch.cat(numbers).unsqueeze(0))

    def bind(self, state: Tensor) -> None:
        super().bind(state)
        shapes = [_last(tensor).shape for tensor in self.tensors]
        for tensor, value in zip(self.tensors, views(state, shapes, 0)[0], strict=True):
            tensor.data = _first(value[0])
        trained = [tensor for tensor in self.tensors if tensor.requires_grad]
        for tensor, gradient in zip(trained, views(self.gradients, shapes[: len(trained)], 0)[0], strict=True):
            tensor.grad = _first(gradient[0])

    def predict(self, x: Tensor, training: bool = False) -> Tensor:
        self.module.train(training)
        with torch.set_grad_enabled(training):
            self.output = self.module(x[0])
        outputs: Tensor = self.output.detach()
        return outputs.mT.unsqueeze(0)

    def backward(self, g: Tensor) -> None:
        self.gradients.zero_()
        self.output.backward(g[0].mT)


def _last(weight: Tensor) -> Tensor:
    """A convolution's weight (out, in, H, W) as it lies in memory, (out, H, W, in); others as they are."""
    return weight.movedim(1, 3) if weight.dim() == 4 else weight


def _first(weight: Tensor) -> Tensor:
    """A weight as torch wants it, (out, in, H, W), from one that lies as `_last` makes it."""
    return weight.movedim(3, 1) if weight.dim() == 4 else weight


class Standardize(nn.Module):
    """(B, C, H, W) less the mean and by the standard deviation of each channel.

    Args:
        mean, std: (C,).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("mean", mean.view(-1, 1, 1), persistent=False)
        self.register_buffer("std", std.view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # in memory of its own: of a single channel nothing else tells torch that it lies last, as all that follow shall
        y = torch.empty_like(x, memory_format=torch.channels_last)
        return torch.sub(x, self.mean, out=y).div_(self.std)


class BFloat16(nn.Sequential):
    """Modules whose products are of bfloat16 numbers; what goes in and comes out is float32."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return y.float()


def initialize(module: nn.Module, seed: int) -> nn.Module:
    """Draw the parameters of each of its modules from a stream of the module's own name.

    So two architectures start alike where they are alike.
    """
    for name, split in module.named_modules():
        if hasattr(split, "reset_parameters"):
            with seeded(generators([seed], f"init {name}")[0].initial_seed()):
                split.reset_parameters()
    return module


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Torch's own streams, of the CPU and of this device, begin anew; afterwards they go on as if nothing had been.

    No other device is touched: on one that is not needed, that alone would start CUDA.
    """
    gpus = [] if device == "cpu" else [device]
    with torch.random.fork_rng(gpus):
        (torch.manual_seed if gpus else torch.default_generator.manual_seed)(seed)
        yield
