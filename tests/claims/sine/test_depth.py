from labcheck.claims import Arm, Claim
from labcheck.labs.sine import TEST_MSE, Sine
from labcheck.metrics import fall
from labcheck.relations import beats, reaches

STILL_TO_FALL = fall("val_loss", after=400)

claim = Claim(
    id="sine/depth",
    statement="The deep net predicts better than the shallow one; both have converged by epoch 400.",
    source="report sine, section 3.1",
    lab=Sine,
    arms={
        "deep": Arm({"net": "deep"}, {"section 3.1": {TEST_MSE: 0.0014184}}),
        "shallow": Arm({"net": "shallow"}, {"section 3.1": {TEST_MSE: 0.0050585}}),
    },
    relations=[
        beats("deep", "shallow", TEST_MSE),
        reaches("deep", 0.005, STILL_TO_FALL),
        reaches("shallow", 0.005, STILL_TO_FALL),
    ],
    seeds={"quick": 20, "full": 200},
    notes=[
        "A net has converged when its validation loss falls by no more than .005 afterwards, 1 % of the variance of "
        "sin x: what is to be seen on the linear axis of a loss curve.",
    ],
)
