from labcheck import Arm, Claim, beats
from labcheck.labs.sine import FINAL_TRAIN_SUM, FINAL_VAL_SUM, TEST_SUM, Sine

claim = Claim(
    id="sine/scheduler",
    statement="With a learning-rate scheduler, the test error is larger, although the validation error is smaller.",
    citation="report sine, section 3.2, second comparison, and the ends of its curves, which contradict the second "
    "half",
    lab=Sine,
    arms={
        "with": Arm(
            {"scheduled": True}, {"curves": {TEST_SUM: 0.0084318, FINAL_TRAIN_SUM: 0.0243, FINAL_VAL_SUM: 0.0083}}
        ),
        "without": Arm(
            {"scheduled": False}, {"curves": {TEST_SUM: 0.0050585, FINAL_TRAIN_SUM: 0.0165, FINAL_VAL_SUM: 0.0054}}
        ),
    },
    relations=[
        beats("without", "with", TEST_SUM),
        beats("with", "without", FINAL_VAL_SUM),
    ],
    seeds={"quick": 20, "full": 200},
    notes=[
        "The validation error is that at the end of training, as in the curves; the test error is that of the weights "
        "with the lowest validation loss.",
        "The report compares one unseeded pair, whose curves differ before the rate first drops.",
    ],
)
