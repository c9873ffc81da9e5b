from labcheck import Arm, Claim, no_worse
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion

claim = Claim(
    id="fashion/epochs",
    statement="The network has nearly converged after 5 epochs; 10 epochs change little.",
    citation="report fashion, influence of the number of epochs; figure 256-256-.1-10",
    lab=Fashion,
    arms={"5 epochs": Arm({"epochs": 5}), "10 epochs": Arm({"epochs": 10})},
    relations=[
        no_worse("5 epochs", "10 epochs", TEST_ACCURACY, margin=0.01),
        no_worse("5 epochs", "10 epochs", FINAL_LOSS, margin=0.1),
    ],
    seeds={"quick": 10, "full": 20},
    notes=["Little means at most one point of accuracy and 10 % of the training loss."],
)
