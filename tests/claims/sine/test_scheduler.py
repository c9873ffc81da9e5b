from labcheck.claims import Arm, Claim
from labcheck.labs.sine import TEST_MSE, VAL_MSE, Sine
from labcheck.relations import beats

claim = Claim(
    id="sine/scheduler",
    statement="With a learning-rate scheduler the test error is larger, though the validation error is smaller.",
    source="report sine, section 3.2, second comparison, which suspects overfitting; no numbers",
    lab=Sine,
    arms={"with": Arm({"scheduled": True}), "without": Arm({"scheduled": False})},
    relations=[
        beats("without", "with", TEST_MSE),
        beats("with", "without", VAL_MSE),
    ],
    seeds={"quick": 20, "full": 200},
)
