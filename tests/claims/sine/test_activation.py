from labcheck.claims import Arm, Claim
from labcheck.labs.sine import TEST_MSE, Sine
from labcheck.relations import misses, reaches

claim = Claim(
    id="sine/activation",
    statement="Without an activation the net cannot fit the function; with ReLU it can.",
    source="report sine, section 3.3; no numbers",
    lab=Sine,
    arms={"none": Arm({"activation": "none"}), "ReLU": Arm({"activation": "relu"})},
    relations=[
        misses("none", 0.05, TEST_MSE),
        reaches("ReLU", 0.05, TEST_MSE),
    ],
    seeds={"quick": 20, "full": 200},
    notes=["A net fits when its error is at most a tenth of the variance of sin x, .5."],
)
