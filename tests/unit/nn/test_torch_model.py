"""Tests of modules of torch.nn in the training loop, and of the convolutional nets against nets in plain torch."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

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
from tests.helpers.nets import PlainCnn, PlainResNet, normal, numbers, with_numbers_of


def gray() -> Standardize:
    return Standardize(torch.tensor([0.3]), torch.tensor([0.5]))


def rgb() -> Standardize:
    return Standardize(torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3]))


def small_cnn(
    channels: tuple[int, ...] = (2, 3),
    kernel: int = 3,
    *,
    hidden: int = 8,
    norm: bool = False,
    bfloat16: bool = False,
    seed: int = 0,
    dropout: float = 0.0,
    dropout_place: str = "hidden",
) -> Any:
    """Return a net; its type is Any, since mypy takes submodules for tensors."""
    net = cnn(
        channels,
        kernel,
        hidden=hidden,
        dropout=dropout,
        norm=norm,
        standardize=gray(),
        bfloat16=bfloat16,
        dropout_place=dropout_place,
    )
    assert initialize(net, seed) is net
    return net


def small_resnet(bfloat16: bool = False) -> Any:
    return initialize(resnet20(standardize=rgb(), bfloat16=bfloat16), 0)


def images(n: int, channels: int, size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    rng = torch.Generator().manual_seed(n)
    return torch.rand(n, channels, size, size, generator=rng, dtype=torch.float64).to(dtype)


def labels(n: int) -> Tensor:
    return torch.arange(n) * 7 % 10


def targets(n: int) -> Tensor:
    """Return the labels as the training loop has them, (1, n, 1)."""
    return labels(n).view(1, -1, 1)


Make = Callable[[], Any]


class Odd(nn.Module):
    """A module with tensors of many shapes, among them an integer buffer and a buffer outside of its state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, (3, 1))
        self.norm = nn.BatchNorm2d(3)
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.register_buffer("shift", torch.full((3, 1, 1), 0.25))
        self.register_buffer("temporary", torch.ones(1), persistent=False)
        self.full = nn.Linear(3, 10)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.full((self.norm(self.conv(x)) + self.shift).square().mean((2, 3)) * self.scale)
        return h


MODULES: dict[str, tuple[Make, Tensor]] = {
    "linear": (lambda: initialize(nn.Sequential(nn.Flatten(), nn.Linear(12, 10)), 0), images(6, 3, 2)),
    "odd": (lambda: initialize(Odd(), 0), images(6, 2, 5)),
    "cnn": (small_cnn, images(6, 1, 28)),
    "cnn with norms": (lambda: small_cnn(norm=True), images(6, 1, 28)),
    "resnet": (small_resnet, images(4, 3, 32)),
}
each_module = pytest.mark.parametrize(("make", "x"), MODULES.values(), ids=MODULES)


def take_steps(model: TorchModel, x: Tensor, n: int) -> None:
    """Take n steps of SGD on all images."""
    optimizer = SGD(0.9)
    for _ in range(n):
        model.gradient(x.unsqueeze(0), targets(len(x)), CrossEntropy())
        optimizer.step(model.values, model.gradients, torch.tensor([0.05]))


# all modules


@each_module
def test_model_predicts_what_module_predicts(make: Make, x: Tensor) -> None:
    module = make().double()
    expected = deepcopy(module).eval()(x)
    outputs = TorchModel(module).predict(x.unsqueeze(0))
    assert outputs.shape == (1, 10, len(x))
    torch.testing.assert_close(outputs[0].mT, expected, rtol=1e-12, atol=1e-12)
    assert not outputs.requires_grad


@each_module
def test_state_has_parameters_before_running_statistics(make: Make, x: Tensor) -> None:
    module = make().double()
    stored = [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]
    model = TorchModel(module)
    assert model.size == numbers(module) == model.values.numel() == model.gradients.numel()
    assert model.state.shape == (1, sum(tensor.numel() for tensor in stored))
    assert model.values.data_ptr() == model.state.data_ptr()
    trained = torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
    assert torch.equal(model.values[0].sort().values, trained.sort().values)


@each_module
def test_module_computes_with_values_of_model(make: Make, x: Tensor) -> None:
    module = make().double()
    model = TorchModel(module)
    before = model.predict(x.unsqueeze(0)).clone()
    model.values.mul_(1.5)
    assert (model.predict(x.unsqueeze(0)) - before).abs().min() > 0
    model.values.fill_(0.125)
    assert all((parameter == 0.125).all() for parameter in module.parameters())


@each_module
def test_state_shows_parameters_of_module(make: Make, x: Tensor) -> None:
    module = make().double()
    model = TorchModel(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(2)
    assert (model.values == 2).all()
    assert (model.state[:, : model.size] == 2).all()


@pytest.mark.slow
@each_module
def test_gradients_equal_autograd(make: Make, x: Tensor) -> None:
    module = make().double()
    plain, model = deepcopy(module).train(), TorchModel(module)
    for n in (len(x), len(x) - 1):  # gradients of the first minibatch must not accumulate
        loss = functional.cross_entropy(plain(x[:n]), labels(n))
        expected = torch.autograd.grad(loss, list(plain.parameters()))
        scores = model.gradient(x[:n].unsqueeze(0), targets(n), CrossEntropy())
        assert scores["loss"].item() == pytest.approx(loss.item(), rel=1e-12)
        for parameter, gradient in zip(module.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)
        flat = torch.cat([gradient.flatten() for gradient in expected])
        torch.testing.assert_close(model.gradients[0].sort().values, flat.sort().values, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@each_module
def test_state_that_is_bound_again_predicts_equal_bits(make: Make, x: Tensor) -> None:
    model = TorchModel(make().double())
    take_steps(model, x, 1)
    state, predicted = model.state.clone(), model.predict(x.unsqueeze(0)).clone()
    take_steps(model, x, 3)
    assert not torch.equal(model.predict(x.unsqueeze(0)), predicted)
    model.bind(state)
    assert torch.equal(model.predict(x.unsqueeze(0)), predicted)
    assert (model.gradients == 0).all()
    take_steps(model, x, 1)
    assert not torch.equal(model.predict(x.unsqueeze(0)), predicted)


def test_step_after_bind_starts_from_bound_state() -> None:
    x = images(6, 1, 28)
    model, other = (TorchModel(small_cnn(norm=True).double()) for _ in range(2))
    start = model.state.clone()
    take_steps(model, x, 2)
    model.bind(start)
    for one in (model, other):
        take_steps(one, x, 1)
    assert torch.equal(model.state, other.state)


def test_selected_model_is_unchanged() -> None:
    x = images(6, 1, 28)
    model = TorchModel(small_cnn().double())
    predicted = model.predict(x.unsqueeze(0)).clone()
    model.select(torch.tensor([0]))
    assert torch.equal(model.predict(x.unsqueeze(0)), predicted)


def test_running_statistics_are_in_state_but_not_in_values() -> None:
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
    statistics = model.state[0, model.size :]
    expected = [
        statistic for norm in (module.features.norm1, module.features.norm2)
        for statistic in (norm.running_mean, norm.running_var)
    ]  # fmt: skip
    assert torch.equal(statistics, torch.cat(expected))
    assert not torch.equal(statistics, running[0])


def test_only_training_normalizes_with_batch_statistics() -> None:
    x = images(6, 1, 28)
    model = TorchModel(small_cnn(norm=True).double())
    trained, evaluated = (model.predict(x.unsqueeze(0), training=training).clone() for training in (True, False))
    assert not torch.allclose(trained, evaluated)
    alone = torch.cat([model.predict(x[n : n + 1].unsqueeze(0)).clone() for n in range(6)], 2)
    torch.testing.assert_close(alone, evaluated, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("frozen", ["conv.weight", "norm.weight", "full.bias"])
def test_frozen_parameter_is_unchanged_and_others_train(frozen: str) -> None:
    x = images(6, 2, 5)
    module = initialize(Odd(), 0).double()
    module.get_parameter(frozen).requires_grad_(False)
    plain, before = deepcopy(module).train(), module.get_parameter(frozen).clone()
    model = TorchModel(module)
    functional.cross_entropy(plain(x), labels(6)).backward()
    model.gradient(x.unsqueeze(0), targets(6), CrossEntropy())
    for parameter, expected in zip(module.parameters(), plain.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(parameter.grad, expected.grad, rtol=1e-9, atol=1e-12)
    take_steps(model, x, 2)
    assert torch.equal(module.get_parameter(frozen), before)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_convolution_weights_have_channels_last_in_memory(bfloat16: bool) -> None:
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
def test_network_and_its_module_train_equally(
    loss: type[MSE | CrossEntropy], norm: bool, optimizer: Callable[[], SGD | Adam]
) -> None:
    if norm and optimizer is Adam:
        pytest.skip("a bias before BatchNorm has gradients of rounding errors, which Adam turns into full steps")
    layers = mlp([4, 7, 5, 3], activation="tanh", norm=norm)
    network = Network(layers, generators([3], "init"), torch.float64)
    model = TorchModel(as_torch(network, 0))
    x, y = normal(1, 30, 4), normal(1, 30, 3) if loss is MSE else torch.arange(30).view(1, 30, 1) % 3
    splits = {"train": Examples(x, y), "val": Examples(x[:, :9].flip(2), y[:, :9])}
    histories = []
    for trained in (network, model):
        recipe = Recipe(optimizer=optimizer, lr=0.01, batch=8, epochs=5, loss=loss)
        histories.append(train(trained, splits, [shuffled(rng) for rng in generators([3], "order")], recipe))
    torch.testing.assert_close(model.values, network.values, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(predict(model, splits["val"]), predict(network, splits["val"]), rtol=1e-9, atol=1e-9)
    assert histories[0].curves.keys() == histories[1].curves.keys()
    for name, curve in histories[0].curves.items():
        torch.testing.assert_close(histories[1].curves[name], curve, rtol=1e-9, atol=1e-9)


# initialization


def test_initial_weights_depend_on_seed_but_not_on_torch_seed() -> None:
    def start(seed: int, torch_seed: int) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(torch_seed)
            return TorchModel(small_cnn(norm=True, seed=seed)).state

    assert torch.equal(start(1, 0), start(1, 5))
    assert not torch.equal(start(1, 0), start(2, 0))


@pytest.mark.parametrize("make", [lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), Odd], ids=["plain", "odd"])
def test_initialize_preserves_torch_stream(make: Make) -> None:
    module = make()
    before = torch.get_rng_state()
    initialize(module, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_modules_of_equal_shape_have_different_weights() -> None:
    layers = [nn.Linear(5, 5), nn.Linear(5, 5)]
    initialize(nn.Sequential(*layers), 0)
    assert not torch.equal(layers[0].weight, layers[1].weight)


DIFFERENCES = {
    "norm": (small_cnn(norm=True), ["norm1", "norm2"]),
    "kernel": (small_cnn(kernel=5), ["conv1", "conv2"]),
    "fewer layers": (small_cnn((2,)), ["conv2", "full1"]),
    "more layers": (small_cnn((2, 3, 4, 5)), ["full1"]),
    "dropout": (small_cnn(dropout=0.5), []),
    "dropout of features": (small_cnn(dropout=0.5, dropout_place="features"), []),
    "arithmetic": (small_cnn(bfloat16=True), []),
}


@pytest.mark.parametrize(("net", "other"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_nets_have_equal_weights_in_shared_modules(net: nn.Sequential, other: list[str]) -> None:
    plain, changed = small_cnn().state_dict(), net.state_dict()
    equal = {name for name in plain if name in changed and torch.equal(plain[name], changed[name])}
    assert equal == {name for name in plain if not any(module in name for module in other)}
    assert len(equal) >= 4


def test_cnn_weights_are_initialized_as_in_torch() -> None:
    net = small_cnn((16, 32), kernel=5, norm=True)
    for module, inputs in ((net.features.conv2, 16 * 25), (net.features.full1, 32 * 49)):
        for parameter in (module.weight, module.bias):
            assert 0.8 / inputs**0.5 < parameter.abs().max() <= 1 / inputs**0.5
    assert (net.features.norm1.weight == 1).all()
    assert (net.features.norm1.bias == 0).all()


def test_resnet_convolutions_are_initialized_as_in_he_et_al() -> None:
    convolutions = [module for module in small_resnet().modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 19
    for convolution in convolutions:
        assert convolution.bias is None
        inputs = convolution.in_channels * 9
        assert convolution.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=0.1)


def test_resnet_classifier_is_initialized_like_convolutions() -> None:
    last = small_resnet().full
    assert last.weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.1)
    assert last.weight.abs().max() > 2 * 64**-0.5  # torch's initialization is at most 1 / √inputs
    assert 0 < last.bias.abs().max() <= 64**-0.5


# architectures


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_cnn_has_number_of_parameters_by_formula(layers: int, kernel: int, norm: bool) -> None:
    channels, hidden = (16, 32, 64, 128)[:layers], 20
    expected, last = 0, 1
    for width in channels:
        expected += width * (last * kernel**2 + 1) + 2 * width * norm
        last = width
    expected += (last * (28 // 2**layers) ** 2 + 1) * hidden + (hidden + 1) * 10
    net = cnn(channels, kernel, hidden=hidden, dropout=0.5, norm=norm, standardize=gray(), bfloat16=False)
    assert numbers(net) == expected


def test_resnet20_has_published_number_of_parameters() -> None:
    assert numbers(small_resnet()) == 269_722


@pytest.mark.parametrize("width", [1, 8, 16])
def test_width_scales_all_channels_of_resnet20(width: int) -> None:
    net = resnet20(standardize=rgb(), bfloat16=False, width=width)
    channels = [module.out_channels for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert channels == [width] * 7 + [2 * width] * 6 + [4 * width] * 6
    assert net(images(2, 3, 32, torch.float32)).shape == (2, 10)


@settings(max_examples=10)
@given(n=st.integers(1, 3), layers=st.integers(1, 4), kernel=st.sampled_from([1, 3, 5, 9]), norm=st.booleans())
def test_cnn_returns_ten_logits_per_image(n: int, layers: int, kernel: int, norm: bool) -> None:
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


def test_resnet20_returns_ten_logits_and_halves_images_twice() -> None:
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


def check_equal(module: Any, plain: nn.Module, x: Tensor) -> None:
    """Assert that two nets have equal outputs, gradients and running statistics, in training and then evaluation."""
    for net in (module.train(), plain.train()):
        functional.cross_entropy(net(x), labels(len(x))).backward()
    for actual, expected in zip(module.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(actual.grad, expected.grad, rtol=1e-9, atol=1e-12)
    for actual, expected in zip(module.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(module.train()(x), plain.train()(x), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(module.eval()(x), plain.eval()(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(("channels", "kernel"), [((2,), 3), ((3, 4), 5), ((2, 3, 4, 5), 9)], ids=str)
def test_cnn_equals_net_that_pools_after_relu(channels: tuple[int, ...], kernel: int, norm: bool) -> None:
    net = small_cnn(channels, kernel, norm=norm).double()
    plain = with_numbers_of(PlainCnn(channels, kernel, 8, norm, net.standardize.mean, net.standardize.std), net)
    check_equal(net, plain, images(5, 1, 28))


@pytest.mark.slow
def test_resnet20_equals_plain_resnet() -> None:
    net = small_resnet().double()
    plain = with_numbers_of(PlainResNet(net.standardize.mean, net.standardize.std), net)
    check_equal(net, plain, images(6, 3, 32))


def test_dropout_follows_full1_in_training_only() -> None:
    net = small_cnn((2,), hidden=64, dropout=0.5).double()
    x, inputs = images(5, 1, 28), []
    net.full2.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net.train()(x)
    net.eval()(x)
    dropped, whole = inputs
    torch.testing.assert_close(dropped, torch.where(dropped == 0, 0, 2 * whole))
    assert 0.3 < (dropped == 0)[whole > 0].double().mean() < 0.7


@pytest.mark.parametrize(("place", "changes"), [("hidden", "full2"), ("features", "full1"), ("both", "full1 full2")])
def test_dropout_precedes_layers_of_its_place(place: str, changes: str) -> None:
    net = small_cnn(dropout=0.5, dropout_place=place).double().train()
    x, inputs = images(5, 1, 28), {}
    for name, layer in (("full1", net.features.full1), ("full2", net.full2)):
        layer.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0]}))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net(x)
        dropped = dict(inputs)
    net.eval()(x)
    whole = inputs
    for name in ("full1", "full2"):
        lost = ((dropped[name] == 0) & (whole[name] > 0)).double().sum() / (whole[name] > 0).sum()
        if name in changes:
            assert lost > 0.3
        elif place == "hidden":
            assert lost == 0


# standardization and bfloat16


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.sampled_from([torch.float32, torch.float64]))
def test_standardize_subtracts_mean_and_divides_by_std(n: int, channels: int, size: int, dtype: torch.dtype) -> None:
    mean, std = torch.linspace(0.1, 0.9, channels), torch.linspace(0.5, 0.2, channels)
    x = images(n, channels, size, dtype)
    before = x.clone()
    y = Standardize(mean, std).to(dtype)(x)
    expected = torch.stack([(x[:, c] - mean[c]) / std[c] for c in range(channels)], 1)
    torch.testing.assert_close(y, expected)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, before)


@pytest.mark.parametrize("module", [small_cnn(norm=True), small_resnet()], ids=["cnn", "resnet"])
def test_convolution_tensors_have_channels_last_in_memory(module: Any) -> None:
    TorchModel(module)
    tensors: list[Tensor] = []
    for submodule in module.modules():
        if isinstance(submodule, nn.Conv2d):
            submodule.register_forward_hook(lambda _, inputs, output: tensors.extend([inputs[0], output]))
    channels = module.standardize.mean.numel()
    module(images(3, channels, 28 if channels == 1 else 32, torch.float32))
    assert len(tensors) > 3
    for tensor in tensors:
        assert tensor.stride(1) == 1 or tensor.shape[1] == 1
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_moments_of_images_are_not_in_state() -> None:
    assert gray().state_dict() == {}
    assert TorchModel(nn.Sequential(gray(), nn.Linear(2, 2))).state.shape == (1, 6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda bfloat16: small_cnn((8, 16), norm=True, bfloat16=bfloat16), images(8, 1, 28, torch.float32)),
        (small_resnet, images(8, 3, 32, torch.float32)),
    ],
    ids=["cnn", "resnet"],
)
def test_bfloat16_returns_nearly_equal_float32(make: Callable[[bool], Any], x: Tensor) -> None:
    logits, gradients = [], []
    for bfloat16 in (False, True):
        module = make(bfloat16)
        model = TorchModel(module)
        model.gradient(x.unsqueeze(0), targets(8), CrossEntropy())
        assert (model.output.dtype, model.gradients.dtype, model.state.dtype) == (torch.float32,) * 3
        assert isinstance(module.features, BFloat16) == bfloat16
        logits.append(model.output.detach())
        gradients.append(model.gradients)
    assert 0 < (logits[1] - logits[0]).norm() < 0.05 * logits[0].norm()
    assert 0.95 < functional.cosine_similarity(gradients[0], gradients[1]) < 0.999999


def test_only_features_use_bfloat16() -> None:
    dtypes = {}
    net = small_cnn(bfloat16=True)
    for name, module in net.named_modules():
        module.register_forward_hook(lambda _, inputs, output, name=name: dtypes.update({name: output.dtype}))
    net(images(2, 1, 28, torch.float32))
    assert {dtypes[f"features.{name}"] for name in ("conv1", "conv2", "full1")} == {torch.bfloat16}
    assert {dtypes[name] for name in ("standardize", "features", "full2", "")} == {torch.float32}
