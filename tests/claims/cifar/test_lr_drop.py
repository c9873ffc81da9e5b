from labcheck.claims import Arm, Claim
from labcheck.labs.cifar import Cifar
from labcheck.metrics import rise
from labcheck.relations import beats, reaches

JUMP = rise("test_accuracy", 5, 6)
REST = rise("test_accuracy", 6, 10)

claim = Claim(
    id="cifar/lr-drop",
    statement="The test accuracy jumps when the learning rate drops from .1 to .01, and is nearly flat afterwards.",
    source="report curve-cifar, exercise 2, first thought: points 5 and 6 of the curve; no numbers",
    lab=Cifar,
    arms={"drop": Arm({"dropped": True}), "twin": Arm({"dropped": False})},
    relations=[
        reaches("drop", 0.03, JUMP),
        beats("drop", "twin", JUMP, by=0.02),
        beats("drop", "drop", JUMP, other=REST),
    ],
    seeds={"quick": 5, "full": 5},
    notes=[
        "The script makes a new optimizer with the new rate, which has no momentum: the twin gets the same new one "
        "and keeps the rate of .1. Until then both are one training.",
        "A jump is three points, and two more than the twin's; it is nearly flat when four more epochs gain less than "
        "the one after the drop.",
    ],
)
