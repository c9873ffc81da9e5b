"""Networks by hand in modules of torch.nn, to draw them and to compare with."""

from torch import nn

from labcheck.nn.scratch import activations as by_hand
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear
from labcheck.nn.scratch.network import Network

PLAIN: dict[type[Layer], type[nn.Module]] = {
    by_hand.Identity: nn.Identity,
    by_hand.ReLU: nn.ReLU,
    by_hand.Tanh: nn.Tanh,
    by_hand.Sigmoid: nn.Sigmoid,
    by_hand.Swish: nn.SiLU,
}


def as_torch(network: Network, model: int) -> nn.Sequential:
    """One of its models, with numbers of its own; it takes examples (B, in)."""
    return nn.Sequential(*(_module(layer, model) for layer in network.layers))


def _module(layer: Layer, model: int) -> nn.Module:
    match layer:
        case Linear():
            return _linear(layer, model)
        case BatchNorm():
            return _batch_norm(layer, model)
        case by_hand.LeakyReLU():
            return nn.LeakyReLU(layer.slope)
        case by_hand.ELU():
            return nn.ELU(layer.alpha)
        case by_hand.Softmax():
            return nn.Softmax(1)
        case by_hand.LogSoftmax():
            return nn.LogSoftmax(1)
        case _:
            return PLAIN[type(layer)]()


def _linear(layer: Linear, model: int) -> nn.Linear:
    outputs, inputs = layer.shapes[0]
    weight, *bias = (value[model] for value in layer.values)
    # without weights of its own, which torch's stream would have to give
    found: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, inputs, outputs, bias=bool(bias), dtype=weight.dtype, device=weight.device
    )
    found.load_state_dict({"weight": weight, "bias": bias[0].squeeze(1)} if bias else {"weight": weight})
    return found


def _batch_norm(layer: BatchNorm, model: int) -> nn.BatchNorm1d:
    weight = layer.values[0]
    found = nn.BatchNorm1d(weight.shape[1], track_running_stats=layer.running, dtype=weight.dtype, device=weight.device)
    names = ("weight", "bias", "running_var", "running_mean")
    numbers = dict(zip(names, (value[model].squeeze(1) for value in (*layer.values, *layer.buffers)), strict=False))
    found.load_state_dict(found.state_dict() | numbers)
    return found
