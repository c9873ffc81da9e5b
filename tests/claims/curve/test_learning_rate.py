from labcheck.claims import Arm, Claim
from labcheck.labs.curve import GRID_MSE, Curve
from labcheck.metrics import epochs_to_settle
from labcheck.relations import beats

SETTLED = epochs_to_settle("grid_loss")

claim = Claim(
    id="curve/learning-rate",
    statement="The smaller the learning rate, the better the fit after 1000 epochs, and the longer it takes.",
    source="report curve-cifar, exercise 1.B; pictures, no numbers",
    lab=Curve,
    arms={f"lr {lr:g}": Arm({"epochs": 1000, "lr": lr}) for lr in (1.0, 0.1, 0.01, 0.001)},
    relations=[
        beats("lr 0.1", "lr 1", GRID_MSE),
        beats("lr 0.01", "lr 0.1", GRID_MSE),
        beats("lr 0.001", "lr 0.01", GRID_MSE),
        beats("lr 1", "lr 0.1", SETTLED),
        beats("lr 0.1", "lr 0.01", SETTLED),
        beats("lr 0.01", "lr 0.001", SETTLED),
    ],
    seeds={"quick": 60, "full": 240},
    notes=[
        "What it takes is the number of epochs until the error comes within 10 % of its best at that rate: the "
        "report counts steps, and an epoch takes the same time at any rate.",
    ],
)
