from labcheck.claims import Arm, Claim
from labcheck.labs.boston import TEST_MSE, Boston
from labcheck.relations import beats

claim = Claim(
    id="boston/optimizer",
    statement="Adam does worse than SGD, so that SGD was hard-coded.",
    source="report boston-mnist, part 1, steps: Adam's results were strange; no numbers",
    lab=Boston,
    arms={"SGD": Arm({"optimizer": "sgd"}), "Adam": Arm({"optimizer": "adam"})},
    relations=[beats("SGD", "Adam", TEST_MSE)],
    seeds={"quick": 60, "full": 240},
    notes=["Adam's learning rate is not stated: both have that of the lab."],
)
