from labcheck import Arm, Claim, stays_worse_than
from labcheck.labs.fashion import TEST_ACCURACY, Fashion

claim = Claim(
    id="fashion/swaps-xavier",
    statement="Initial weights from Xavier's normal distribution are a disaster.",
    citation="report fashion, a new method of each kind: the only other initialization with a figure, above the "
    "sentence that an unsuitable one is disastrous",
    lab=Fashion,
    arms={"xavier": Arm({"init": "xavier_normal"})},
    relations=[stays_worse_than("xavier", 0.2, TEST_ACCURACY)],
    seeds={"quick": 10, "full": 20},
    notes=[
        "This is the second reading of a sentence; fashion/swaps judges the first one, with weights of 0.",
        "A disaster is a test accuracy below 20 %, where guessing achieves 10 %.",
    ],
)
