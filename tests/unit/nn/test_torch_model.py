"""Modules of torch.nn in the training loop, and the convolutional nets, held against nets that are written plainly."""

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from labcheck.data.examples import Examples, generators, shuffled
from labcheck.nn.as_torch import as_torch
from labcheck.nn.cnn import cnn
from labcheck.nn.resnet import resnet20
from labcheck.nn.scratch.losses import MSE, CrossEntropy
from labcheck.nn.scratch.network import Network, mlp
from labcheck.nn.scratch.optimizers import SGD, Adam
from labcheck.nn.torch_model import BFloat16, Standardize, TorchModel, initialize
from labcheck.nn.training import Recipe, predict, train

from .test_scratch_layers import normal


def grey() -> Standardize:
    return Standardize(torch.tensor([0.3]), torch.tensor([0.5]))


def colours() -> Standardize:
    return Standardize(torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3]))


def small_cnn(
    channels: tuple[int, ...] = (2, 3),
    kernel: int = 3,
    *,
    norm: bool = False,
    bfloat16: bool = False,
    seed: int = 0,
    dropout: float = 0.0,
    dropout_place: str = "hidden",
) -> nn.Sequential:
    net = cnn(
        channels,
        kernel,
        hidden=8,
        dropout=dropout,
        norm=norm,
        standardize=grey(),
        bfloat16=bfloat16,
        dropout_place=dropout_place,
    )
    assert initialize(net, seed) is net
    return net


def small_resnet(bfloat16: bool = False) -> nn.Module:
    return initialize(resnet20(standardize=colours(), bfloat16=bfloat16), 0)


def images(n: int, channels: int, size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    rng = torch.Generator().manual_seed(n)
    return torch.rand(n, channels, size, size, generator=rng, dtype=torch.float64).to(dtype)


def labels(n: int) -> Tensor:
    return torch.arange(n) * 7 % 10


def numbers(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


class Odd(nn.Module):
    """Parameters and buffers of many shapes, one of them of whole numbers and one not to be kept."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, (3, 1))
        self.norm = nn.BatchNorm2d(3)
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.register_buffer("shift", torch.full((3, 1, 1), 0.25))
        self.register_buffer("passing", torch.ones(1), persistent=False)
        self.full = nn.Linear(3, 10)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.full((self.norm(self.conv(x)) + self.shift).square().mean((2, 3)) * self.scale)
        return h


MODULES: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "linear": (lambda: initialize(nn.Sequential(nn.Flatten(), nn.Linear(12, 10)), 0), images(6, 3, 2)),
    "odd": (lambda: initialize(Odd(), 0), images(6, 2, 5)),
    "cnn": (small_cnn, images(6, 1, 28)),
    "cnn with norms": (lambda: small_cnn(norm=True), images(6, 1, 28)),
    "resnet": (small_resnet, images(4, 3, 32)),
}
each_module = pytest.mark.parametrize(("make", "x"), MODULES.values(), ids=MODULES)


def steps(model: TorchModel, x: Tensor, n: int) -> None:
    """So many steps on these images."""
    optimizer = SGD(0.9)
    for _ in range(n):
        model.gradient(x.unsqueeze(0), labels(len(x)).view(1, -1, 1), CrossEntropy())
        optimizer.step(model.values, model.gradients, torch.tensor([0.05]))


# any module


@each_module
def test_a_model_predicts_as_its_module_does(make: Callable[[], nn.Module], x: Tensor) -> None:
    module = make().double()
    expected = deepcopy(module).eval()(x)
    found = TorchModel(module).predict(x.unsqueeze(0))
    assert found.shape == (1, 10, len(x))
    torch.testing.assert_close(found[0].mT, expected, rtol=1e-12, atol=1e-12)
    assert not found.requires_grad


@each_module
def test_state_is_what_is_trained_and_then_running_statistics(make: Callable[[], nn.Module], x: Tensor) -> None:
    module = make().double()
    kept = [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]
    model = TorchModel(module)
    assert model.size == numbers(module) == model.values.numel() == model.gradients.numel()
    assert model.state.shape == (1, sum(tensor.numel() for tensor in kept))
    assert model.values.data_ptr() == model.state.data_ptr()
    trained = torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
    assert torch.equal(model.values[0].sort().values, trained.sort().values)


@each_module
def test_what_is_written_to_values_is_what_the_module_computes_with(make: Callable[[], nn.Module], x: Tensor) -> None:
    module = make().double()
    model = TorchModel(module)
    before = model.predict(x.unsqueeze(0)).clone()
    model.values.mul_(1.5)
    assert (model.predict(x.unsqueeze(0)) - before).abs().min() > 0
    model.values.fill_(0.125)
    assert all((parameter == 0.125).all() for parameter in module.parameters())


@each_module
def test_what_the_module_computes_with_is_seen_in_state(make: Callable[[], nn.Module], x: Tensor) -> None:
    module = make().double()
    model = TorchModel(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(2)
    assert (model.values == 2).all()
    assert (model.state[:, : model.size] == 2).all()


@each_module
def test_gradients_are_those_of_autograd(make: Callable[[], nn.Module], x: Tensor) -> None:
    module = make().double()
    plain, model = deepcopy(module).train(), TorchModel(module)
    for n in (len(x), len(x) - 1):  # the second minibatch does not add to the first
        loss = functional.cross_entropy(plain(x[:n]), labels(n))
        expected = torch.autograd.grad(loss, list(plain.parameters()))
        scores = model.gradient(x[:n].unsqueeze(0), labels(n).view(1, -1, 1), CrossEntropy())
        assert scores["loss"].item() == pytest.approx(loss.item(), rel=1e-12)
        for parameter, gradient in zip(module.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)
        flat = torch.cat([gradient.flatten() for gradient in expected])
        torch.testing.assert_close(model.gradients[0].sort().values, flat.sort().values, rtol=1e-9, atol=1e-12)


@each_module
def test_a_state_that_is_held_again_predicts_as_it_did_to_the_bit(make: Callable[[], nn.Module], x: Tensor) -> None:
    model = TorchModel(make().double())
    steps(model, x, 1)
    state, predicted = model.state.clone(), model.predict(x.unsqueeze(0)).clone()
    steps(model, x, 3)
    assert not torch.equal(model.predict(x.unsqueeze(0)), predicted)
    model.bind(state)
    assert torch.equal(model.predict(x.unsqueeze(0)), predicted)
    assert (model.gradients == 0).all()
    steps(model, x, 1)
    assert not torch.equal(model.predict(x.unsqueeze(0)), predicted)


def test_a_gradient_and_a_step_after_holding_are_those_of_what_is_held() -> None:
    x = images(6, 1, 28)
    model, other = (TorchModel(small_cnn(norm=True).double()) for _ in range(2))
    start = model.state.clone()
    steps(model, x, 2)
    model.bind(start)
    for one in (model, other):
        steps(one, x, 1)
    assert torch.equal(model.state, other.state)


def test_a_model_that_is_kept_stays_as_it_is() -> None:
    x = images(6, 1, 28)
    model = TorchModel(small_cnn().double())
    predicted = model.predict(x.unsqueeze(0)).clone()
    model.select(torch.tensor([0]))
    assert torch.equal(model.predict(x.unsqueeze(0)), predicted)


def test_running_statistics_lie_in_state_and_not_in_values() -> None:
    x = images(6, 1, 28)
    module = small_cnn(norm=True).double()
    model = TorchModel(module)
    assert model.state.shape[1] - model.size == 2 * (2 + 3)
    running, values = model.state[:, model.size :].clone(), model.values.clone()
    model.predict(x.unsqueeze(0))
    assert torch.equal(model.state[:, model.size :], running)
    model.predict(x.unsqueeze(0), training=True)
    assert torch.equal(model.values, values)
    h = module.features.conv1(module.standardize(x)).detach()
    assert isinstance(module.features.norm1.running_mean, Tensor)
    torch.testing.assert_close(module.features.norm1.running_mean, 0.1 * h.mean((0, 2, 3)), rtol=1e-10, atol=1e-12)
    found, expected = model.state[0, model.size :], [
        statistic for norm in (module.features.norm1, module.features.norm2)
        for statistic in (norm.running_mean, norm.running_var)
    ]  # fmt: skip
    assert torch.equal(found, torch.cat(expected))
    assert not torch.equal(found, running[0])


def test_a_forward_pass_that_trains_normalises_by_the_batch_and_another_by_what_was_seen() -> None:
    x = images(6, 1, 28)
    model = TorchModel(small_cnn(norm=True).double())
    trained, evaluated = (model.predict(x.unsqueeze(0), training=training).clone() for training in (True, False))
    assert not torch.allclose(trained, evaluated)
    alone = torch.cat([model.predict(x[n : n + 1].unsqueeze(0)).clone() for n in range(6)], 2)
    torch.testing.assert_close(alone, evaluated, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("frozen", ["conv.weight", "norm.weight", "full.bias"])
def test_what_a_module_does_not_train_stays_and_the_rest_has_its_own_gradients(frozen: str) -> None:
    x = images(6, 2, 5)
    module = initialize(Odd(), 0).double()
    module.get_parameter(frozen).requires_grad_(False)
    plain, before = deepcopy(module).train(), module.get_parameter(frozen).clone()
    model = TorchModel(module)
    functional.cross_entropy(plain(x), labels(6)).backward()
    model.gradient(x.unsqueeze(0), labels(6).view(1, -1, 1), CrossEntropy())
    for parameter, expected in zip(module.parameters(), plain.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(parameter.grad, expected.grad, rtol=1e-9, atol=1e-12)
    steps(model, x, 2)
    assert torch.equal(module.get_parameter(frozen), before)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_weights_of_convolutions_have_their_channels_last_in_memory(bfloat16: bool) -> None:
    for module in (small_cnn(norm=True, bfloat16=bfloat16), small_resnet(bfloat16)):
        model = TorchModel(module)
        for _ in range(2):
            weights = [parameter for parameter in module.parameters() if parameter.dim() == 4]
            assert len(weights) > 1
            for weight in weights:
                assert weight.is_contiguous(memory_format=torch.channels_last)
                assert weight.grad is not None
                assert weight.grad.is_contiguous(memory_format=torch.channels_last)
            model.bind(model.state.clone())


@pytest.mark.parametrize("loss", [MSE, CrossEntropy])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("optimizer", [lambda: SGD(0.9, weight_decay=0.01), Adam], ids=["sgd", "adam"])
def test_a_net_of_layers_and_its_module_train_alike(
    loss: type[MSE | CrossEntropy], norm: bool, optimizer: Callable[[], SGD | Adam]
) -> None:
    if norm and optimizer is Adam:
        pytest.skip("Adam makes full steps of the rounding errors that are the gradient of a bias before BatchNorm")
    layers = mlp([4, 7, 5, 3], activation="tanh", norm=norm)
    network = Network(layers, generators([3], "init"), torch.float64)
    model = TorchModel(as_torch(network, 0))
    x, y = normal(1, 30, 4), normal(1, 30, 3) if loss is MSE else torch.arange(30).view(1, 30, 1) % 3
    parts = {"train": Examples(x, y), "val": Examples(x[:, :9].flip(2), y[:, :9])}
    histories = []
    for trained in (network, model):
        recipe = Recipe(optimizer=optimizer(), lr=0.01, batch=8, epochs=5, loss=loss())
        histories.append(train(trained, parts, [shuffled(rng) for rng in generators([3], "order")], recipe))
    torch.testing.assert_close(model.values, network.values, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(predict(model, parts["val"]), predict(network, parts["val"]), rtol=1e-9, atol=1e-9)
    assert histories[0].curves.keys() == histories[1].curves.keys()
    for name, curve in histories[0].curves.items():
        torch.testing.assert_close(histories[1].curves[name], curve, rtol=1e-9, atol=1e-9)


# how modules start


def test_a_seed_starts_with_its_own_weights_wherever_torchs_seed_stands() -> None:
    def start(seed: int, elsewhere: int) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(elsewhere)
            return TorchModel(small_cnn(norm=True, seed=seed)).state

    assert torch.equal(start(1, 0), start(1, 5))
    assert not torch.equal(start(1, 0), start(2, 0))


@pytest.mark.parametrize("make", [lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), Odd], ids=["plain", "odd"])
def test_torchs_stream_is_where_it_was(make: Callable[[], nn.Module]) -> None:
    module = make()
    before = torch.get_rng_state()
    initialize(module, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_modules_of_one_shape_start_with_weights_of_their_own() -> None:
    net = initialize(nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5)), 0)
    assert not torch.equal(net[0].weight, net[1].weight)


DIFFERENCES = {
    "norm": (small_cnn(norm=True), ["norm1", "norm2"]),
    "kernel": (small_cnn(kernel=5), ["conv1", "conv2"]),
    "one layer less": (small_cnn((2,)), ["conv2", "full1"]),
    "two layers more": (small_cnn((2, 3, 4, 5)), ["full1"]),
    "dropout": (small_cnn(dropout=0.5), []),
    "dropout of features": (small_cnn(dropout=0.5, dropout_place="features"), []),
    "arithmetic": (small_cnn(bfloat16=True), []),
}


@pytest.mark.parametrize(("net", "other"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_nets_start_alike_where_they_are_alike(net: nn.Sequential, other: list[str]) -> None:
    plain, changed = small_cnn().state_dict(), net.state_dict()
    alike = {name for name in plain if name in changed and torch.equal(plain[name], changed[name])}
    assert alike == {name for name in plain if not any(part in name for part in other)}
    assert len(alike) >= 4


def test_a_net_starts_as_torch_would_have_it() -> None:
    net = small_cnn((16, 32), kernel=5, norm=True)
    for module, inputs in ((net.features.conv2, 16 * 25), (net.features.full1, 32 * 49)):
        for parameter in (module.weight, module.bias):
            assert 0.8 / inputs**0.5 < parameter.abs().max() <= 1 / inputs**0.5
    assert (net.features.norm1.weight == 1).all()
    assert (net.features.norm1.bias == 0).all()


def test_convolutions_of_the_resnet_start_as_he_et_al_have_it() -> None:
    convolutions = [module for module in small_resnet().modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 19
    for convolution in convolutions:
        assert convolution.bias is None
        inputs = convolution.in_channels * 9
        assert convolution.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=0.1)


def test_the_last_layer_of_the_resnet_starts_as_its_convolutions_do() -> None:
    last = small_resnet().full
    assert last.weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.1)
    assert last.weight.abs().max() > 2 * 64**-0.5  # which torch's own initialization, up to 1 / √inputs, never gives
    assert 0 < last.bias.abs().max() <= 64**-0.5


# the nets


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_the_cnn_has_as_many_parameters_as_its_formula_says(layers: int, kernel: int, norm: bool) -> None:
    channels, hidden = (16, 32, 64, 128)[:layers], 20
    expected, last = 0, 1
    for width in channels:
        expected += width * (last * kernel**2 + 1) + 2 * width * norm
        last = width
    expected += (last * (28 // 2**layers) ** 2 + 1) * hidden + (hidden + 1) * 10
    net = cnn(channels, kernel, hidden=hidden, dropout=0.5, norm=norm, standardize=grey(), bfloat16=False)
    assert numbers(net) == expected


def test_resnet20_has_as_many_parameters_as_its_authors_say() -> None:
    assert numbers(small_resnet()) == 269_722


@settings(max_examples=10)
@given(n=st.integers(1, 3), layers=st.integers(1, 4), kernel=st.sampled_from([1, 3, 5, 9]), norm=st.booleans())
def test_the_cnn_gives_ten_logits_for_each_image(n: int, layers: int, kernel: int, norm: bool) -> None:
    net = small_cnn((2, 3, 2, 4)[:layers], kernel, norm=norm).eval()
    x = images(n, 1, 28, torch.float32)
    size = 28
    h = net.standardize(x)
    for name, module in net.features.named_children():
        h = module(h)
        size = size // 2 if name.startswith("pool") else size
        assert h.shape[2:] == (size, size) or name in ("flatten", "full1")
    assert h.shape == (n, net.full2.in_features)
    assert net(x).shape == (n, 10)


def test_resnet20_gives_ten_logits_for_each_image_and_halves_it_twice() -> None:
    net, x = small_resnet(), images(2, 3, 32, torch.float32)
    h, shapes = net.standardize(x), {}
    for name, module in net.features.named_children():
        h = module(h)
        shapes[name] = tuple(h.shape[1:])
    assert {name: shape for name, shape in shapes.items() if name.startswith("block")} == {
        f"block{stage}{number}": (8 * 2**stage, 64 // 2**stage, 64 // 2**stage)
        for stage in (1, 2, 3) for number in (1, 2, 3)
    }  # fmt: skip
    assert shapes["relu"] == (16, 32, 32)
    assert net(x).shape == (2, 10)


class PlainCnn(nn.Module):
    """As a reader of the report would write it: convolution, BatchNorm, ReLU, pooling; parameters in that order."""

    def __init__(self, channels: tuple[int, ...], kernel: int, hidden: int, norm: bool, mean: Tensor, std: Tensor):
        super().__init__()
        self.blocks = nn.ModuleList()
        last, size = 1, 28
        for width in channels:
            convolution = nn.Conv2d(last, width, kernel, padding=kernel // 2)
            self.blocks.append(nn.ModuleList([convolution, nn.BatchNorm2d(width)] if norm else [convolution]))
            last, size = width, size // 2
        self.full1, self.full2 = nn.Linear(last * size * size, hidden), nn.Linear(hidden, 10)
        self.mean, self.std = mean, std

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        for block in self.blocks:
            for module in block:
                x = module(x)
            x = functional.max_pool2d(functional.relu(x), 2)
        h: Tensor = self.full2(functional.relu(self.full1(x.flatten(1))))
        return h


class PlainBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.stride, self.added = (1, 0) if inputs == outputs else (2, outputs - inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        shortcut = x
        if self.added:
            shortcut = x[:, :, ::2, ::2]
            n, _, height, width = shortcut.shape
            zeros = torch.zeros(n, self.added // 2, height, width, dtype=x.dtype)
            shortcut = torch.cat([zeros, shortcut, zeros], dim=1)
        return functional.relu(residual + shortcut)


class PlainResNet(nn.Module):
    """He et al. 2016, table 6 with n = 3 and shortcuts of option A; parameters in the order of its layers."""

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.blocks = nn.ModuleList([PlainBlock(*pair) for pair in pairwise(widths)])
        self.fc = nn.Linear(64, 10)
        self.mean, self.std = mean.view(3, 1, 1), std.view(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.bn(self.conv((x - self.mean) / self.std)))
        for block in self.blocks:
            h = block(h)
        logits: Tensor = self.fc(functional.avg_pool2d(h, 8).flatten(1))
        return logits


def with_numbers_of(plain: nn.Module, module: nn.Module) -> nn.Module:
    """The plain net with the weights and running statistics of another, which has them in the same order."""
    plain.to(next(module.parameters()).dtype)
    ours, theirs = plain.state_dict(), module.state_dict()
    plain.load_state_dict(dict(zip(ours, (value.clone() for value in theirs.values()), strict=True)))
    return plain


def check_equal(module: nn.Module, plain: nn.Module, x: Tensor) -> None:
    """Outputs, gradients and running statistics, training and then evaluating."""
    for net in (module.train(), plain.train()):
        functional.cross_entropy(net(x), labels(len(x))).backward()
    for found, expected in zip(module.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-9, atol=1e-12)
    for found, expected in zip(module.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(module.train()(x), plain.train()(x), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(module.eval()(x), plain.eval()(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(("channels", "kernel"), [((2,), 3), ((3, 4), 5), ((2, 3, 4, 5), 9)], ids=str)
def test_pooling_before_the_relu_is_the_net_that_pools_after_it(
    channels: tuple[int, ...], kernel: int, norm: bool
) -> None:
    net = small_cnn(channels, kernel, norm=norm).double()
    plain = with_numbers_of(PlainCnn(channels, kernel, 8, norm, net.standardize.mean, net.standardize.std), net)
    check_equal(net, plain, images(5, 1, 28))


def test_resnet20_is_that_of_he_et_al() -> None:
    net = small_resnet().double()
    plain = with_numbers_of(PlainResNet(net.standardize.mean, net.standardize.std), net)
    check_equal(net, plain, images(6, 3, 32))


def test_dropout_follows_the_first_fully_connected_layer_and_only_while_training() -> None:
    net = initialize(cnn((2,), 3, hidden=64, dropout=0.5, norm=False, standardize=grey(), bfloat16=False), 0).double()
    x, seen = images(5, 1, 28), []
    net.full2.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net.train()(x)
    net.eval()(x)
    dropped, whole = seen
    torch.testing.assert_close(dropped, torch.where(dropped == 0, 0, 2 * whole))
    assert 0.3 < (dropped == 0)[whole > 0].double().mean() < 0.7


@pytest.mark.parametrize(("place", "changes"), [("hidden", "full2"), ("features", "full1"), ("both", "full1 full2")])
def test_dropout_stands_before_the_layers_of_its_place(place: str, changes: str) -> None:
    net = small_cnn(dropout=0.5, dropout_place=place).double().train()
    x, seen = images(5, 1, 28), {}
    for name, layer in (("full1", net.features.full1), ("full2", net.full2)):
        layer.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0]}))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net(x)
        dropped = dict(seen)
    net.eval()(x)
    whole = seen
    for name in ("full1", "full2"):
        lost = ((dropped[name] == 0) & (whole[name] > 0)).double().sum() / (whole[name] > 0).sum()
        if name in changes:
            assert lost > 0.3
        elif place == "hidden":
            assert lost == 0


# standardised images and fast products


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.sampled_from([torch.float32, torch.float64]))
def test_standardised_is_less_the_mean_and_by_the_deviation(
    n: int, channels: int, size: int, dtype: torch.dtype
) -> None:
    mean, std = torch.linspace(0.1, 0.9, channels), torch.linspace(0.5, 0.2, channels)
    x = images(n, channels, size, dtype)
    before = x.clone()
    y = Standardize(mean, std).to(dtype)(x)
    expected = torch.stack([(x[:, c] - mean[c]) / std[c] for c in range(channels)], 1)
    torch.testing.assert_close(y, expected)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, before)


@pytest.mark.parametrize("module", [small_cnn(norm=True), small_resnet()], ids=["cnn", "resnet"])
def test_what_convolutions_take_and_give_has_its_channels_last_in_memory(module: nn.Module) -> None:
    TorchModel(module)
    seen: list[Tensor] = []
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(lambda _, inputs, output: seen.extend([inputs[0], output]))
    channels = module.standardize.mean.numel()
    module(images(3, channels, 28 if channels == 1 else 32, torch.float32))
    assert len(seen) > 3
    for tensor in seen:
        assert tensor.stride(1) == 1 or tensor.shape[1] == 1
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_moments_of_the_images_are_no_numbers_of_a_model() -> None:
    assert grey().state_dict() == {}
    assert TorchModel(nn.Sequential(grey(), nn.Linear(2, 2))).state.shape == (1, 6)


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda bfloat16: small_cnn((8, 16), norm=True, bfloat16=bfloat16), images(8, 1, 28, torch.float32)),
        (small_resnet, images(8, 3, 32, torch.float32)),
    ],
    ids=["cnn", "resnet"],
)
def test_bfloat16_gives_float32_and_nearly_the_same(make: Callable[[bool], nn.Module], x: Tensor) -> None:
    logits, gradients = [], []
    for bfloat16 in (False, True):
        module = make(bfloat16)
        model = TorchModel(module)
        model.gradient(x.unsqueeze(0), labels(8).view(1, -1, 1), CrossEntropy())
        assert (model.output.dtype, model.gradients.dtype, model.state.dtype) == (torch.float32,) * 3
        assert isinstance(module.features, BFloat16) == bfloat16
        logits.append(model.output.detach())
        gradients.append(model.gradients)
    assert 0 < (logits[1] - logits[0]).norm() < 0.05 * logits[0].norm()
    assert 0.95 < functional.cosine_similarity(*gradients) < 0.999999


def test_only_convolutions_and_the_layer_after_them_are_of_bfloat16() -> None:
    seen = {}
    net = small_cnn(bfloat16=True)
    for name, part in net.named_modules():
        part.register_forward_hook(lambda _, inputs, output, name=name: seen.update({name: output.dtype}))
    net(images(2, 1, 28, torch.float32))
    assert {seen[f"features.{name}"] for name in ("conv1", "conv2", "full1")} == {torch.bfloat16}
    assert {seen[name] for name in ("standardize", "features", "full2", "")} == {torch.float32}
