"""Conversion of networks from scratch to modules of torch.nn, to draw them and to compare with torch."""

from torch import nn

from labcheck.nn.scratch import activations
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear
from labcheck.nn.scratch.network import Network

SIMPLE: dict[type[Layer], type[nn.Module]] = {
    activations.Identity: nn.Identity,
    activations.ReLU: nn.ReLU,
    activations.Tanh: nn.Tanh,
    activations.Sigmoid: nn.Sigmoid,
    activations.Swish: nn.SiLU,
}
"""The layers without parameters and settings, and the modules equal to them."""


def as_torch(network: Network, model: int) -> nn.Sequential:
    """Return a module that computes what one model of a network computes.

    Args:
        network: The K models.
        model: The index of the model, 0 to K − 1.

    Returns:
        A module that maps examples (B, in) to outputs (B, out), with copies of the model's parameters.
    """
    return nn.Sequential(*(_module(layer, model) for layer in network.layers))


def _module(layer: Layer, model: int) -> nn.Module:
    match layer:
        case Linear():
            return _linear(layer, model)
        case BatchNorm():
            return _batch_norm(layer, model)
        case activations.LeakyReLU():
            return nn.LeakyReLU(layer.slope)
        case activations.ELU():
            return nn.ELU(layer.alpha)
        case activations.Softmax():
            return nn.Softmax(1)
        case activations.LogSoftmax():
            return nn.LogSoftmax(1)
        case _:
            return SIMPLE[type(layer)]()


def _linear(layer: Linear, model: int) -> nn.Linear:
    outputs, inputs = layer.shapes[0]
    weight, *bias = (value[model] for value in layer.values)
    # skip_init avoids initial weights, which would be drawn from torch's global stream
    module: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, inputs, outputs, bias=bool(bias), dtype=weight.dtype, device=weight.device
    )
    module.load_state_dict({"weight": weight, "bias": bias[0].squeeze(1)} if bias else {"weight": weight})
    return module


def _batch_norm(layer: BatchNorm, model: int) -> nn.BatchNorm1d:
    weight = layer.values[0]
    module = nn.BatchNorm1d(
        weight.shape[1], track_running_stats=layer.running, dtype=weight.dtype, device=weight.device
    )
    names = ("weight", "bias", "running_var", "running_mean")
    numbers = dict(zip(names, (value[model].squeeze(1) for value in (*layer.values, *layer.buffers)), strict=False))
    module.load_state_dict(module.state_dict() | numbers)
    return module
