"""Epochs of training, and predictions, of a network: the chain of its layers, its loss and its optimizer.

The kernels of the other modules become parts of the two kernels here, `train_epoch` and `predict`, which alone are
called from Python.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from labcheck.nn.compiled import activations, batchnorm, linear, losses, optimizers
from labcheck.nn.compiled.jit import Array, cached, jit
from labcheck.nn.compiled.optimizers import Rule

LINEAR, BATCHNORM = range(2)
"""The numbers of the layers that are not activations."""


class Architecture(NamedTuple):
    """The layers of a network, as vectors with one number per layer, (L,).

    Attributes:
        kinds: The number of the kind of a layer.
        inputs: The number of input features.
        outputs: The number of output features.
        settings: Two numbers each, (L, 2), float64: ε and the momentum of a BatchNorm, the slope of a LeakyReLU, or α
            of an ELU.
        parameters: The place of the layer's first parameter among those of a model.
        biases: The number of biases of a linear layer, `outputs` or 0.
        buffers: The place of the first running average among the numbers of a model, or −1 if there are none.
        rows: The first row of the layer's output in `Memory.outputs`. An activation overwrites the output of the layer
            before, which is not an activation itself.
        slopes: The first row of the derivative of Swish, and the number of these rows, (2, L).
        features: The first element of the statistics of a BatchNorm in `Memory.mean` and `Memory.var`.
    """

    kinds: Array
    inputs: Array
    outputs: Array
    settings: Array
    parameters: Array
    biases: Array
    buffers: Array
    rows: Array
    slopes: Array
    features: Array


class Memory(NamedTuple):
    """Memory for what one minibatch of one model needs. Matrices (rows, B) are stored as vectors, since B varies.

    Attributes:
        outputs: The outputs of all layers, or in predictions those of two layers at a time.
        gradients: The gradients with respect to the input and the output of a layer, two vectors, (2, rows · B).
        x: The inputs of a minibatch.
        y: Its targets.
        mean: The mean of each feature of each BatchNorm.
        var: The variance of each feature of each BatchNorm.
    """

    outputs: Array
    gradients: Array
    x: Array
    y: Array
    mean: Array
    var: Array


@jit
def _architecture(layers: Array, settings: Array) -> Architecture:
    """Return the architecture whose vectors are the rows of two matrices.

    Python passes these matrices, because passing a tuple of arrays takes about 0.1 ms.

    Args:
        layers: All vectors of integers in the order of `Architecture`, (10, L).
        settings: `Architecture.settings`.
    """
    return Architecture(
        *(layers[0], layers[1], layers[2], settings, layers[3], layers[4], layers[5], layers[6], layers[7:9], layers[9])
    )


@jit
def _rule(numbers: Array) -> Rule:
    """Return the optimizer whose settings are stored in a vector, (9,), in the order of `Rule`."""
    return Rule(
        int(numbers[0]),
        numbers[1],
        numbers[2],
        bool(numbers[3]),
        numbers[4],
        numbers[5],
        numbers[6],
        numbers[7],
        bool(numbers[8]),
    )


@jit
def _memory(net: Architecture, numbers: Array, n: int) -> Memory:
    """Divide a vector with the length `memory_size` into the memory for a minibatch of n examples."""
    widest, features = max(net.inputs.max(), net.outputs.max()), net.outputs.sum()
    x = 2 * widest * n
    y = x + net.inputs[0] * n
    mean = y + net.outputs[-1] * n
    var, outputs = mean + features, mean + 2 * features
    return Memory(
        numbers[outputs:],
        numbers[:x].reshape(2, widest * n),
        numbers[x:y],
        numbers[y:mean],
        numbers[mean:var],
        numbers[var:outputs],
    )


def memory_size(layers: Array, rows: int, n: int) -> int:
    """Return the length of the vector with the memory for a minibatch of n examples.

    Args:
        layers: See `_architecture`.
        rows: The number of rows of outputs that are kept.
        n: The number of examples.
    """
    inputs, outputs = layers[1], layers[2]
    widest = max(inputs.max(), outputs.max())
    return int((2 * widest + inputs[0] + outputs[-1] + rows) * n + 2 * outputs.sum())


@jit
def _matrix(memory: Array, first: int, rows: int, n: int) -> Array:
    """Return a matrix (rows, n) that is stored in a vector, from the row `first` on."""
    return memory[first * n : (first + rows) * n].reshape(rows, n)


@jit
def _vector(memory: Array, first: int, rows: int, n: int) -> Array:
    """Return the numbers of the same matrix, (rows · n,)."""
    return memory[first * n : (first + rows) * n]


@jit
def _linear(net: Architecture, l: int, numbers: Array) -> tuple[Array, Array]:  # noqa: E741 - l as in formulas
    """Return the matrix (out, in) and the bias, (out,) or (0,), of layer l, from the parameters or gradients (P,)."""
    inputs, outputs, start = net.inputs[l], net.outputs[l], net.parameters[l]
    end = start + outputs * inputs
    return numbers[start:end].reshape(outputs, inputs), numbers[end : end + net.biases[l]]


@jit
def _pair(numbers: Array, start: int, features: int) -> tuple[Array, Array]:
    """Return two adjacent vectors (features,): γ and β, their gradients, or the running variance and mean."""
    return numbers[start : start + features], numbers[start + features : start + 2 * features]


@jit
def forward(net: Architecture, state: Array, x: Array, training: bool, memory: Memory) -> Array:
    """Return the outputs of a model, (out, B).

    Args:
        net: The architecture.
        state: All numbers of the model, (P + S,). Training updates running averages.
        x: The inputs, (in, B).
        training: Whether BatchNorm uses the statistics of the batch even if it has running averages.
        memory: Memory for the outputs of the layers and for statistics.
    """
    h, n = x, x.shape[1]
    for l in range(len(net.kinds)):  # noqa: E741
        kind, features = net.kinds[l], net.outputs[l]
        setting, momentum = x.dtype.type(net.settings[l, 0]), x.dtype.type(net.settings[l, 1])
        y = _matrix(memory.outputs, net.rows[l], features, n)
        if kind == LINEAR:
            w, b = _linear(net, l, state)
            linear.forward(w, b, h, y)
        elif kind == BATCHNORM:
            gamma, beta = _pair(state, net.parameters[l], features)
            first = net.features[l]
            mean, var = memory.mean[first : first + features], memory.var[first : first + features]
            running = net.buffers[l] >= 0
            if running and not training:
                var, mean = _pair(state, net.buffers[l], features)
            else:
                batchnorm.statistics(h, mean, var)
                if running:
                    running_var, running_mean = _pair(state, net.buffers[l], features)
                    batchnorm.update(momentum, running_mean, running_var, mean, var, n)
            batchnorm.forward(setting, gamma, beta, mean, var, h, y)
        else:
            slope = _vector(memory.outputs, net.slopes[0, l], net.slopes[1, l], n)
            activations.forward(kind, setting, _vector(memory.outputs, net.rows[l], features, n), slope)
        h = y
    return h


@jit
def backward(net: Architecture, state: Array, gradients: Array, x: Array, memory: Memory) -> None:
    """Apply the chain rule from the last layer to the first.

    Args:
        net: The architecture.
        state: All numbers of the model, (P + S,).
        gradients: Memory for the gradients of the loss with respect to the parameters, (P,).
        x: The inputs of `forward`, which must precede, (in, B).
        memory: The outputs of the layers and the statistics, and in the first row of `gradients`, the gradient with
            respect to the last output.
    """
    n = x.shape[1]
    side = 0
    for l in range(len(net.kinds) - 1, -1, -1):  # noqa: E741
        kind, features, inputs = net.kinds[l], net.outputs[l], net.inputs[l]
        setting = x.dtype.type(net.settings[l, 0])
        # the input of the layer is the output of the one before
        h = _matrix(memory.outputs, net.rows[l - 1], inputs, n) if l else x
        g = _matrix(memory.gradients[side], 0, features, n)
        if kind == LINEAR:
            w, _ = _linear(net, l, state)
            gw, gb = _linear(net, l, gradients)
            side = 1 - side
            gx = _matrix(memory.gradients[side], 0, inputs if l else 0, n)
            linear.backward(w, h, g, gw, gb, gx)
        elif kind == BATCHNORM:
            gamma, _ = _pair(state, net.parameters[l], features)
            ggamma, gbeta = _pair(gradients, net.parameters[l], features)
            first = net.features[l]
            mean, var = memory.mean[first : first + features], memory.var[first : first + features]
            batchnorm.backward(setting, gamma, mean, var, h, g, ggamma, gbeta)
        else:
            y = _vector(memory.outputs, net.rows[l], features, n)
            slope = _vector(memory.outputs, net.slopes[0, l], net.slopes[1, l], n)
            activations.backward(kind, setting, y, slope, _vector(memory.gradients[side], 0, features, n))


@jit
def _gather(x: Array, columns: Array, out: Array) -> None:
    """Copy examples, the columns of x (features, N) with the indices (B,), to `out`, (features, B)."""
    for f in range(len(x)):
        for j in range(len(columns)):
            out[f, j] = x[f, columns[j]]


def _kernels(sources: int) -> tuple[Callable[..., None], Callable[..., None]]:
    """Return the two kernels that are called from Python.

    Args:
        sources: A number that differs if any source file with kernels differs. Numba compiles a stored kernel again
            only if its own file has changed, or a variable of an outer function that it uses. It would not notice
            changes in the other modules, whose kernels are parts of the stored one.
    """

    @cached
    def train_epoch(
        layers: Array,
        settings: Array,
        rule: Array,
        kind: int,
        delta: float,
        state: Array,
        gradients: Array,
        first: Array,
        second: Array,
        third: Array,
        steps: int,
        x: Array,
        y: Array,
        order: Array,
        batch: int,
        lrs: Array,
        memory: Array,
        scores: Array,
    ) -> None:
        """Train each model for an epoch, one after the other.

        Args:
            layers: The architecture, see `_architecture`.
            settings: The settings of its layers.
            rule: The optimizer, see `_rule`.
            kind: The number of the loss.
            delta: δ of the Huber loss.
            state: All numbers of the models, (K, P + S).
            gradients: Memory for the gradients, (K, P).
            first: State of the optimizer, (K, P) or (K, 0), as are the next two; see `optimizers.step`.
            second: See `first`.
            third: See `first`.
            steps: The number of steps that the optimizer has taken.
            x: The inputs, (K, in, N).
            y: The targets, (K, out, N).
            order: The order of the examples, (K, N), which is not used if a batch has all examples.
            batch: The size of a minibatch.
            lrs: The learning rates, (K,), float64.
            memory: Memory for a minibatch, with the length `memory_size`.
            scores: Memory for the mean losses, (K,).

        Raises:
            ValueError: The order has an index that is not one of an example.
        """
        _ = sources
        examples = x.shape[2]
        whole = batch >= examples
        n = examples if whole else order.shape[1]
        if not whole and (order.size == 0 or order.min() < 0 or order.max() >= examples):
            raise ValueError("an order has other indices than those of the examples")
        net, optimizer = _architecture(layers, settings), _rule(rule)
        space = _memory(net, memory, min(batch, n))
        for model in range(len(state)):
            numbers, g = state[model], gradients[model]
            w = numbers[: len(g)]
            total = 0.0
            for number, start in enumerate(range(0, n, batch)):
                size = min(batch, n - start)
                if whole:
                    inputs, targets = x[model], y[model]
                else:
                    inputs = _matrix(space.x, 0, x.shape[1], size)
                    targets = _matrix(space.y, 0, y.shape[1], size)
                    _gather(x[model], order[model, start : start + size], inputs)
                    _gather(y[model], order[model, start : start + size], targets)
                p = forward(net, numbers, inputs, True, space)
                gp = _matrix(space.gradients[0], 0, len(p), size)
                total += size * losses.loss(kind, x.dtype.type(delta), p, targets, gp)
                backward(net, numbers, g, inputs, space)
                optimizers.step(
                    optimizer, steps + number + 1, lrs[model], w, g, first[model], second[model], third[model]
                )
            scores[model] = total / n

    @cached
    def predict(layers: Array, settings: Array, state: Array, x: Array, block: int, memory: Array, out: Array) -> None:
        """Compute the outputs of each model in evaluation mode, for blocks of examples that fit in a cache.

        Args:
            layers: The architecture, see `_architecture`.
            settings: The settings of its layers.
            state: All numbers of the models, (K, P + S).
            x: The inputs, (K, in, N).
            block: The size of a block; N if the statistics of the examples are used.
            memory: Memory for a block, with the length `memory_size`.
            out: Memory for the outputs, (K, out, N).
        """
        _ = sources
        net = _architecture(layers, settings)
        space = _memory(net, memory, block)
        for model in range(len(state)):
            for start in range(0, x.shape[2], block):
                end = min(start + block, x.shape[2])
                if end - start == x.shape[2]:
                    inputs = x[model]
                else:
                    inputs = _matrix(space.x, 0, x.shape[1], end - start)
                    inputs[:] = x[model, :, start:end]
                out[model, :, start:end] = forward(net, state[model], inputs, False, space)

    return train_epoch, predict


def _digest() -> int:
    """Return a number that differs if any source file with kernels differs."""
    files = sorted(file for file in Path(__file__).parent.glob("*.py") if file.stem not in ("__init__", "training"))
    return int(hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:15], 16)


kernels: tuple[Any, Any] = _kernels(_digest())
train_epoch, predict = kernels
