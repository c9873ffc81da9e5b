from labcheck import Arm, Claim, beats, reaches, share_of_decrease
from labcheck.labs.sine import FINAL_TRAIN_SUM, FINAL_VAL_SUM, TEST_SUM, Sine

SHARE_OF_DECREASE = share_of_decrease("val_loss", epoch=400)

claim = Claim(
    id="sine/depth",
    statement="The deep network predicts better than the shallow one, and both have converged by epoch 400.",
    citation="report sine, section 3.1 and the ends of its curves",
    lab=Sine,
    arms={
        "deep": Arm(
            {"net": "deep"},
            {
                "section 3.1": {TEST_SUM: 0.0014184},
                "curves": {TEST_SUM: 0.0014814, FINAL_TRAIN_SUM: 0.0046, FINAL_VAL_SUM: 0.0019},
            },
        ),
        "shallow": Arm(
            {},
            {
                "section 3.1": {TEST_SUM: 0.0050585},
                "curves": {FINAL_TRAIN_SUM: 0.0165, FINAL_VAL_SUM: 0.0054},
            },
        ),
    },
    relations=[
        beats("deep", "shallow", TEST_SUM),
        reaches("deep", 0.99, SHARE_OF_DECREASE),
        reaches("shallow", 0.99, SHARE_OF_DECREASE),
    ],
    seeds={"quick": 20, "full": 200},
    notes=[
        "A network has converged by epoch 400 if its validation loss has then made 99 % of its decrease from the first "
        "value to the minimum over all 1000 epochs: the rest is invisible on the linear axis of a loss curve.",
        "The text swaps two digits in the test loss of the deep network, which is .0014814 in the report's own log.",
    ],
)
