from labcheck import Arm, Claim, beats, epochs_to, geometric_mean, no_worse
from labcheck.labs.boston import TEST_MAE, TEST_MSE, TEST_R2, Boston

EPOCHS_TO_TARGET = epochs_to("val_loss", below=20)  # where the report's sigmoid ends
AT_10, AT_20 = geometric_mean("val_loss", 10, 15, rising=False), geometric_mean("val_loss", 20, 25, rising=False)
AT_50, AT_60 = geometric_mean("val_loss", 45, 50, rising=False), geometric_mean("val_loss", 55, 60, rising=False)


def trained_with(activation: str) -> dict[str, object]:
    return {"hidden_layers": 2, "lr": 0.001, "epochs": 60, "activation": activation}


claim = Claim(
    id="boston/activation",
    statement="ReLU predicts best and trains fastest, then tanh, then sigmoid: ReLU has converged within 10 epochs, "
    "tanh within 60, and sigmoid is far from it then.",
    citation="report boston-mnist, part 1, the activation's influence",
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
        no_worse("relu", "relu", AT_10, margin=0.1, other=AT_20),
        no_worse("tanh", "tanh", AT_50, margin=0.1, other=AT_60),
        beats("sigmoid", "sigmoid", AT_60, by=0.1, other=AT_50),
    ],
    seeds={"quick": 60, "full": 240},
    notes=[
        "Training faster is fewer epochs to a validation loss of 20, about where the report's sigmoid ends.",
        "A net has converged when its validation loss is no more than 10 % higher than it is ten epochs later, and is "
        "far from it when it still falls by more than 10 % in ten epochs; each is a mean over five epochs. Of ReLU "
        "those from epoch 10 on are compared, of the others the last ones.",
    ],
)
