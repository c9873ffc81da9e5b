from labcheck import Arm, Claim, beats, epochs_to, geometric_mean, no_worse
from labcheck.labs.boston import TEST_MAE, TEST_MSE, TEST_R2, Boston

EPOCHS_TO_TARGET = epochs_to("val_loss", below=20)  # about the final loss of the report's sigmoid network
VAL_LOSS_AT_10 = geometric_mean("val_loss", 10, 15, rising=False)
VAL_LOSS_AT_20 = geometric_mean("val_loss", 20, 25, rising=False)
VAL_LOSS_AT_50 = geometric_mean("val_loss", 45, 50, rising=False)
VAL_LOSS_AT_60 = geometric_mean("val_loss", 55, 60, rising=False)


def trained_with(activation: str) -> dict[str, object]:
    return {"hidden_layers": 2, "lr": 0.001, "epochs": 60, "activation": activation}


claim = Claim(
    id="boston/activation",
    statement="ReLU predicts best and trains fastest, followed by tanh and then sigmoid; ReLU converges within 10 "
    "epochs and tanh within 60, when sigmoid is still far from convergence.",
    citation="report boston-mnist, part 1, influence of the activation",
    lab=Boston,
    arms={
        "relu": Arm(trained_with("relu"), {"text": {TEST_MSE: 8.8628, TEST_MAE: 2.2904, TEST_R2: 0.8781}}),
        "tanh": Arm(trained_with("tanh"), {"text": {TEST_MSE: 11.5156, TEST_MAE: 2.5597, TEST_R2: 0.8416}}),
        "sigmoid": Arm(trained_with("sigmoid"), {"text": {TEST_MSE: 19.2103, TEST_MAE: 3.1946, TEST_R2: 0.7358}}),
    },
    relations=[
        beats("relu", "tanh", TEST_MSE),
        beats("tanh", "sigmoid", TEST_MSE),
        beats("relu", "tanh", EPOCHS_TO_TARGET),
        beats("tanh", "sigmoid", EPOCHS_TO_TARGET),
        no_worse("relu", "relu", VAL_LOSS_AT_10, margin=0.1, other=VAL_LOSS_AT_20),
        no_worse("tanh", "tanh", VAL_LOSS_AT_50, margin=0.1, other=VAL_LOSS_AT_60),
        beats("sigmoid", "sigmoid", VAL_LOSS_AT_60, by=0.1, other=VAL_LOSS_AT_50),
    ],
    seeds={"quick": 60, "full": 240},
    notes=[
        "Training is faster if fewer epochs reach a validation loss of 20, about the final loss of the report's "
        "sigmoid network.",
        "A network has converged if its validation loss is at most 10 % higher than ten epochs later, and is far from "
        "convergence if the loss falls by more than 10 % within ten epochs. Each loss is a mean over five epochs: from "
        "epoch 10 on for ReLU, and at the end for tanh and sigmoid.",
    ],
)
