from labcheck import Arm, Claim, beats, reaches, share_of_decrease
from labcheck.labs.sine import FINAL_TRAIN_SUM, FINAL_VAL_SUM, TEST_SUM, Sine

DONE = share_of_decrease("val_loss", epoch=400)

claim = Claim(
    id="sine/depth",
    statement="The deep net predicts better than the shallow one, and both have converged by epoch 400.",
    citation="report sine, section 3.1, and the ends of its curves",
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
        reaches("deep", 0.99, DONE),
        reaches("shallow", 0.99, DONE),
    ],
    seeds={"quick": 20, "full": 200},
    notes=[
        "A net has converged by epoch 400 when the validation loss has done 99 % of its fall by then, from its first "
        "value to the lowest of all 1000 epochs: the rest is not to be seen on the linear axis of a loss curve.",
        "The text swaps two digits of the deep net's test loss, which the report's own log has as .0014814.",
    ],
)
