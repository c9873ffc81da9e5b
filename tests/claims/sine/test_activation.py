from labcheck import Arm, Claim, reaches, stays_worse_than
from labcheck.labs.sine import FINAL_TRAIN_SUM, FINAL_VAL_SUM, TEST_MSE, TEST_SUM, Sine

claim = Claim(
    id="sine/activation",
    statement="Without an activation, the network cannot fit the function; with ReLU it can.",
    citation="report sine, section 3.3 and the ends of its curves",
    lab=Sine,
    arms={
        "none": Arm(
            {"activation": "none"},
            {"curves": {TEST_SUM: 6.3811693, FINAL_TRAIN_SUM: 18.5106, FINAL_VAL_SUM: 6.0682}},
        ),
        "ReLU": Arm(
            {"activation": "relu"},
            {"curves": {TEST_SUM: 0.0050585, FINAL_TRAIN_SUM: 0.0165, FINAL_VAL_SUM: 0.0054}},
        ),
    },
    relations=[
        stays_worse_than("none", 0.05, TEST_MSE),
        reaches("ReLU", 0.05, TEST_MSE),
    ],
    seeds={"quick": 20, "full": 200},
    notes=["A network fits if its mean squared error is at most a tenth of the variance of sin x, which is .5."],
)
