from labcheck import Arm, Claim, beats, geometric_mean
from labcheck.labs.sine import FINAL_TRAIN_SUM, FINAL_VAL_SUM, TEST_SUM, Sine

LOSS_BEFORE_LAST_100 = geometric_mean("batch_loss", -200, -100, rising=False)
LOSS_OF_LAST_100 = geometric_mean("batch_loss", -100, rising=False)

claim = Claim(
    id="sine/learning-rate",
    statement="With a constant learning rate of 0.01, the loss rises at the end instead of falling, and 1e-4 is "
    "better.",
    citation="report sine, section 3.2, first comparison, and the ends of its curves",
    lab=Sine,
    arms={
        "lr 0.01": Arm({"lr": 0.01}, {"curves": {TEST_SUM: 0.0081559, FINAL_TRAIN_SUM: 0.0467, FINAL_VAL_SUM: 0.0201}}),
        "lr 0.0001": Arm(
            {"lr": 1e-4}, {"curves": {TEST_SUM: 0.0050585, FINAL_TRAIN_SUM: 0.0165, FINAL_VAL_SUM: 0.0054}}
        ),
    },
    relations=[
        beats("lr 0.01", "lr 0.01", LOSS_BEFORE_LAST_100, by=0.1, other=LOSS_OF_LAST_100),
        beats("lr 0.0001", "lr 0.01", TEST_SUM),
    ],
    seeds={"quick": 20, "full": 200},
    notes=[
        "The loss rises at the end if its mean over the 100 epochs before the last 100 is more than 10 % below its "
        "mean over the last 100. It is the training loss, which the report plots by step.",
    ],
)
