"""A claim about weight decay, with a training loop in plain torch."""

import torch

from labcheck import Arm, Claim, beats, error, lab


@lab("linear")
def train(seed, *, decay=0.0, epochs=100, lr=0.003, inputs=200, examples=20):
    rng = torch.Generator().manual_seed(seed)
    weights, bias = torch.full((inputs, 1), 0.01), 0.05
    x = torch.randn(examples + 100, inputs, generator=rng)
    y = x @ weights + bias + 0.01 * torch.randn(len(x), 1, generator=rng)
    x_train, y_train, x_test, y_test = x[:examples], y[:examples], x[examples:], y[examples:]
    model = torch.nn.Linear(inputs, 1)
    torch.nn.init.normal_(model.weight, generator=rng)
    optimizer = torch.optim.SGD([{"params": [model.weight], "weight_decay": decay}, {"params": [model.bias]}], lr=lr)
    loss = torch.nn.MSELoss()
    for _ in range(epochs):
        for batch in torch.randperm(examples, generator=rng).split(5):
            optimizer.zero_grad()
            loss(model(x_train[batch]), y_train[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            yield {"train_loss": loss(model(x_train), y_train), "test_loss": loss(model(x_test), y_test)}
    return {"final_train_loss": loss(model(x_train), y_train), "final_test_loss": loss(model(x_test), y_test)}


claim = Claim(
    statement="With 20 examples of 200 inputs, weight decay raises the training loss and lowers the test loss.",
    lab=train,
    arms={"none": Arm(), "decay": Arm({"decay": 3.0})},
    relations=[beats("none", "decay", error("final_train_loss")), beats("decay", "none", error("final_test_loss"))],
    seeds={"quick": 20},
)
