"""Training of a network from scratch by compiled kernels, in the memory of the network and of its optimizer."""

import operator
import re
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from labcheck.data.examples import Split
from labcheck.nn.model import Model
from labcheck.nn.scratch.activations import ELU, Identity, LeakyReLU, ReLU, Sigmoid, Swish, Tanh
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear
from labcheck.nn.scratch.losses import MSE, Huber, Loss
from labcheck.nn.scratch.network import Network
from labcheck.nn.scratch.optimizers import SGD, AdaGrad, Adam, Optimizer, RMSprop

MIN_NUMBA = (0, 60)
"""The oldest version of Numba that is accepted, the first one for NumPy 2."""
BLOCK = 256
"""The number of examples of a prediction at a time, whose activations fit in a cache."""
DTYPES = (torch.float32, torch.float64)
LAYERS = (Identity, Linear, BatchNorm, ReLU, LeakyReLU, ELU, Tanh, Sigmoid, Swish)
LOSSES = (MSE, Huber)
OPTIMIZERS = (SGD, AdaGrad, RMSprop, Adam)


def unsupported(model: Model, *parts: Loss | Optimizer) -> str:
    """Return the reason why compiled kernels cannot compute a model, or "" if they can.

    Subclasses of known classes may differ from them, so they are not supported.

    Args:
        model: The model.
        *parts: The loss and the optimizer, if it is to be trained.
    """
    if type(model) is not Network:
        return f"{type(model).__name__} is not a Network"
    if model.state.device.type != "cpu":
        return f"the model is on the device {model.state.device}, not on the CPU"
    if model.state.dtype not in DTYPES:
        return f"there are no kernels for {model.state.dtype}"
    return unsupported_layers(model.layers, *parts)


def unsupported_layers(layers: Sequence[Layer], *parts: Loss | Optimizer) -> str:
    """Return the reason why compiled kernels cannot compute a network of these layers on a CPU, or "" if they can.

    Args:
        layers: The layers.
        *parts: The loss and the optimizer, if the network is to be trained.
    """
    for known, used in ((LAYERS, layers), ((*LOSSES, *OPTIMIZERS), parts)):
        for part in used:
            if type(part) not in known:
                return f"there is no compiled {type(part).__name__}"
    return _unchained(layers) or _numba_problem()


def _unchained(layers: Sequence[Layer]) -> str:
    """Return what prevents layers from forming a chain of kernels, which do not check shapes; "" for nothing."""
    if not layers or not layers[0].shapes or any(not a.shapes and not b.shapes for a, b in pairwise(layers)):
        # it would overwrite the examples, or the output from which another activation computes its derivative
        return "an activation does not follow a layer with parameters"
    features = _input_features(layers[0])
    for layer in layers:
        inputs = layer.shapes[0][isinstance(layer, Linear)] if layer.shapes else features
        if inputs != features:
            return f"a layer with {inputs} inputs follows one with {features} outputs"
        if isinstance(layer, LeakyReLU) and not 0 <= layer.slope <= 1:
            return f"the slope of LeakyReLU, {layer.slope}, is not between 0 and 1"
        if isinstance(layer, ELU) and layer.alpha < 0:
            return f"alpha of ELU, {layer.alpha}, is negative"
        features = layer.shapes[0][0] if layer.shapes else features
    return ""


def _input_features(first: Layer) -> int:
    """Return the number of input features of a network from its first layer."""
    return first.shapes[0][isinstance(first, Linear)]


@cache
def _numba_problem() -> str:
    """Return why Numba cannot be used, or "" if it can."""
    try:
        version = metadata.version("numba")
    except metadata.PackageNotFoundError:
        return "Numba is not installed"
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < MIN_NUMBA:
        return f"Numba {version} is older than {'.'.join(map(str, MIN_NUMBA))}"
    try:
        import labcheck.nn.compiled.epoch  # noqa: F401
    except (ImportError, RuntimeError) as error:  # another NumPy than Numba needs, or no place to store kernels
        return f"Numba {version} does not work: {error}"
    return ""


class Arrays(NamedTuple):
    """A network as kernels receive it.

    Attributes:
        layers: The layers, (10, L), see `labcheck.nn.compiled.epoch.Architecture`.
        settings: The settings of the layers, (L, 2).
        rows: The number of rows of memory for the outputs of layers.
    """

    layers: Any
    settings: Any
    rows: int


class _Compiled:
    """A network and the memory in which a kernel computes it.

    Args:
        model: The network.
        keep: Whether all outputs of layers are kept, for the chain rule.
    """

    def __init__(self, model: Network, keep: bool):
        self.model = model
        self._net = _architecture(model, keep)
        self._inputs, self._outputs = int(self._net.layers[1, 0]), int(self._net.layers[2, -1])
        self._memory: dict[tuple[int, Any], Any] = {}
        self._compiled = False

    def _run(self, kernel: Any, *arguments: Any) -> None:
        """Call a kernel, which is compiled before if necessary."""
        if not self._compiled:
            _compile(kernel, arguments)
            self._compiled = True
        kernel(*arguments)

    def _memory_of(self, n: int, dtype: Any) -> Any:
        """Return memory for n examples, the same in each call."""
        from labcheck.nn.compiled.epoch import memory_size

        if (n, dtype) not in self._memory:
            self._memory[n, dtype] = np.empty(memory_size(self._net.layers, self._net.rows, n), dtype)
        return self._memory[n, dtype]


class CompiledPrediction(_Compiled):
    """The outputs of the models of a network in evaluation mode, one model after the other.

    Args:
        model: The network, whose numbers may change between two calls.

    Raises:
        ValueError: There are no kernels for one of its layers; see `unsupported`.
    """

    def __init__(self, model: Network):
        if reason := unsupported(model):
            raise ValueError(reason)
        from labcheck.nn.compiled.epoch import predict

        super().__init__(model, keep=False)
        self._predict: Any = predict
        self._batch_statistics = any(isinstance(layer, BatchNorm) and not layer.running for layer in model.layers)

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the outputs as `Network.predict` does.

        Args:
            x: Each model's examples, (K, N, in).

        Returns:
            The outputs, (K, out, N), in memory of their own.

        Raises:
            ValueError: Shapes or precisions do not match.
        """
        state, inputs = _array(self.model.state), np.ascontiguousarray(x.mT.numpy())
        n = inputs.shape[2]
        if inputs.shape != (len(state), self._inputs, n) or inputs.dtype != state.dtype:
            raise ValueError(
                f"examples should be ({len(state)}, N, {self._inputs}), {state.dtype}, got {x.shape}, {x.dtype}"
            )
        block = max(1, n if self._batch_statistics else min(n, BLOCK))
        outputs = np.empty((len(state), self._outputs, n), state.dtype)
        memory = self._memory_of(block, state.dtype)
        self._run(self._predict, self._net.layers, self._net.settings, state, inputs, block, memory, outputs)
        return torch.from_numpy(outputs)


class CompiledTraining(_Compiled):
    """A loop that trains the models of a network one after the other, each at full speed on one thread.

    The numbers of the network and the state of the optimizer remain those of the objects from scratch: between two
    calls, these may be used, changed, or replaced as by `select`.

    The first training of a machine in each precision compiles kernels, which takes many seconds; they are stored for
    all later ones. So it is with the first prediction.

    Args:
        model: The network.
        loss: The loss.
        optimizer: The optimizer, new or after some steps.

    Raises:
        ValueError: There are no kernels for one of these; see `unsupported`.
    """

    def __init__(self, model: Network, loss: Loss, optimizer: Optimizer):
        if reason := unsupported(model, loss, optimizer):
            raise ValueError(reason)
        from labcheck.nn.compiled.epoch import train_epoch

        super().__init__(model, keep=True)
        self._train_epoch: Any = train_epoch
        self.optimizer = optimizer
        self._rule = _rule(optimizer)
        self._loss = _loss(loss)
        self._tensors: tuple[Tensor, ...] = ()
        self._split: Split | None = None

    def train_epoch(self, split: Split, order: Tensor | None, batch: int, lrs: Tensor) -> dict[str, Tensor]:
        """Train each model for one epoch.

        Args:
            split: The training examples, x (K, N, in) and y (K, N, out), whose content must not change between calls.
            order: The order of each model's examples, (K, N); it may be None if a batch has all examples, since there
                is nothing to shuffle.
            batch: The size of a minibatch. The remaining examples make a smaller last one.
            lrs: The learning rate of each model, (K,), float64.

        Returns:
            The loss by its name, (K,): the mean over minibatches, weighted by their size.

        Raises:
            ValueError: Shapes or precisions do not match, or the order has an index that is not one of an example.
        """
        optimizer = self.optimizer
        state, gradients, *memories = self._numbers()
        x, y = self._examples(split)
        models, n = len(state), x.shape[2]
        whole = batch >= n
        if lrs.shape != (models,) or (not whole and (order is None or order.shape[0] != models)):
            raise ValueError(f"minibatches need an order and a learning rate for each of the {models} models")
        columns = self._no_order if whole or order is None else _vectors(order, torch.int64)
        scores = np.empty(models, state.dtype)
        steps = optimizer.steps if isinstance(optimizer, Adam) else 0
        self._run(
            self._train_epoch,
            *(self._net.layers, self._net.settings, self._rule, *self._loss, state, gradients, *memories),
            *(steps, x, y, columns, batch, _vectors(lrs, torch.float64)),
            *(self._memory_of(min(batch, n), state.dtype), scores),
        )
        if isinstance(optimizer, Adam):
            optimizer.steps += -(-(n if whole else columns.shape[1]) // batch)
        return {"loss": torch.from_numpy(scores)}

    def _numbers(self) -> tuple[Any, ...]:
        """Return what training changes: `model.state`, `model.gradients`, and three matrices of the optimizer's state.

        Those that the optimizer does not have are (K, 0). As in its first step, the state is created if there is none.
        """
        optimizer, values = self.optimizer, self.model.values
        tensors: tuple[Tensor, ...] = ()
        match optimizer:
            case SGD() if optimizer.momentum:
                if optimizer.velocity is None:
                    optimizer.velocity = torch.zeros_like(values)
                tensors = (optimizer.velocity,)
            case AdaGrad():
                if optimizer.squares is None:
                    optimizer.squares = torch.zeros_like(values)
                tensors = (optimizer.squares,)
            case Adam():
                if optimizer.moments is None:
                    optimizer.moments = tuple(torch.zeros_like(values) for _ in range(2 + optimizer.amsgrad))
                tensors = optimizer.moments
        tensors = (self.model.state, self.model.gradients, *tensors)
        # arrays are made again only for other tensors, because this takes as long as a small epoch
        if len(tensors) != len(self._tensors) or any(map(operator.is_not, tensors, self._tensors)):
            state, gradients, *memories = map(_array, tensors)
            if any(memory.shape != gradients.shape for memory in memories):
                raise ValueError("the state of the optimizer is that of another number of models or parameters")
            empty = [np.empty((len(state), 0), state.dtype)] * (3 - len(memories))
            self._arrays, self._tensors = (state, gradients, *memories, *empty), tensors
            self._no_order = np.empty((len(state), 0), np.int64)
            self._split = None
        return self._arrays

    def _examples(self, split: Split) -> tuple[Any, Any]:
        """Return inputs and targets, feature-major: (K, in, N) and (K, out, N).

        They are copied only if there are several features or chunks, and only once for a split.
        """
        if split is not self._split:
            columns = zip(*((chunk.x.mT, chunk.y.mT) for chunk in split.chunks()), strict=True)
            x, y = (
                np.ascontiguousarray((chunks[0] if len(chunks) == 1 else torch.cat(chunks, 2)).numpy())
                for chunks in columns
            )
            models, dtype = len(self.model.state), self._arrays[0].dtype
            for name, array, features in (("inputs", x, self._inputs), ("targets", y, self._outputs)):
                if array.shape != (models, features, len(split)) or array.dtype != dtype:
                    raise ValueError(
                        f"{name} should be ({models}, N, {features}), {dtype}, got {array.mT.shape}, {array.dtype}"
                    )
            self._columns, self._split = (x, y), split
        return self._columns


def _architecture(model: Network, keep: bool) -> Arrays:
    """Return the layers of a network as arrays.

    Args:
        model: The network.
        keep: Whether all outputs are kept, for the chain rule. Otherwise two places for outputs take turns.
    """
    layers = [layer for layer in model.layers if type(layer) is not Identity]
    kinds = _kinds()
    features = _input_features(layers[0])
    widest = max(features, *(layer.shapes[0][0] for layer in layers if layer.shapes))
    parameter, buffer, row, used = 0, model.size, 0, 0 if keep else 3 * widest
    table: list[tuple[int, ...]] = []
    settings: list[tuple[float, float]] = []
    for layer in layers:
        inputs, slopes = features, (0, 0)
        if layer.shapes:
            features = layer.shapes[0][0]
            row = used if keep else widest - row
            used += features if keep else 0
        elif isinstance(layer, Swish):
            slopes = (used, features) if keep else (2 * widest, features)
            used += features if keep else 0
        biases = features if isinstance(layer, Linear) and len(layer.shapes) == 2 else 0
        first_buffer = buffer if layer.buffer_shapes else -1
        table.append((kinds[type(layer)], inputs, features, parameter, biases, first_buffer, row, *slopes))
        settings.append(_settings(layer))
        parameter += sum(int(np.prod(shape)) for shape in layer.shapes)
        buffer += sum(int(np.prod(shape)) for shape in layer.buffer_shapes)
    columns = np.array(table, np.int64).T
    # places in memory for statistics, which is not used for layers that have none
    places = np.cumsum(columns[2]) - columns[2]
    return Arrays(np.ascontiguousarray(np.vstack([columns, places])), np.array(settings), used)


def _kinds() -> dict[type[Layer], int]:
    """Return the number of each kind of layer."""
    from labcheck.nn.compiled import activations, epoch

    return {
        Linear: epoch.LINEAR,
        BatchNorm: epoch.BATCHNORM,
        ReLU: activations.RELU,
        LeakyReLU: activations.LEAKY_RELU,
        ELU: activations.ELU,
        Tanh: activations.TANH,
        Sigmoid: activations.SIGMOID,
        Swish: activations.SWISH,
    }


def _settings(layer: Layer) -> tuple[float, float]:
    """Return the two settings of a layer, see `Architecture.settings`."""
    if isinstance(layer, BatchNorm):
        return layer.epsilon, layer.momentum
    if isinstance(layer, LeakyReLU):
        return layer.slope, 0.0
    return (layer.alpha, 0.0) if isinstance(layer, ELU) else (0.0, 0.0)


def _rule(optimizer: Optimizer) -> Any:
    """Return the kind and the settings of an optimizer, (9,), in the order of `Rule`."""
    from labcheck.nn.compiled import optimizers

    match optimizer:
        case SGD():
            decay, momentum = optimizer.weight_decay, optimizer.momentum
            rule = optimizers.Rule(optimizers.SGD, weight_decay=decay, momentum=momentum, nesterov=optimizer.nesterov)
        case RMSprop():
            rule = optimizers.Rule(optimizers.RMSPROP, alpha=optimizer.alpha, epsilon=optimizer.epsilon)
        case AdaGrad():
            rule = optimizers.Rule(optimizers.ADAGRAD, epsilon=optimizer.epsilon)
        case Adam():
            rule = optimizers.Rule(optimizers.ADAM, weight_decay=optimizer.weight_decay, amsgrad=optimizer.amsgrad)
            beta1, beta2 = optimizer.betas
            rule = rule._replace(beta1=beta1, beta2=beta2, epsilon=optimizer.epsilon)
    return np.array(rule, np.float64)


def _loss(loss: Loss) -> tuple[int, float]:
    """Return the number of a loss, and δ of the Huber loss."""
    from labcheck.nn.compiled import losses

    return (losses.HUBER, float(loss.delta)) if isinstance(loss, Huber) else (losses.MSE, 0.0)


def _array(tensor: Tensor) -> Any:
    """Return the memory of a tensor as a NumPy array."""
    array = tensor.numpy()
    if not array.flags.c_contiguous:
        raise ValueError("compiled kernels need tensors without gaps")
    return array


def _vectors(tensor: Tensor, dtype: torch.dtype) -> Any:
    """Return a tensor as an array without gaps, in a type for which kernels are compiled."""
    return np.ascontiguousarray((tensor if tensor.dtype is dtype else tensor.to(dtype)).numpy())


def _compile(kernel: Any, arguments: Sequence[Any]) -> None:
    """Compile a kernel for arguments, or load it if that has been done before.

    Only one process at a time does so. The others would do the same work, and Numba does not prevent that two processes
    store kernels of different precision in one file.
    """
    from numba import typeof

    with FileLock(Path(kernel.stats.cache_path) / "labcheck.lock"):
        kernel.compile(tuple(map(typeof, arguments)))
