from labcheck import Arm, Claim, beats, equivalent, increase, reaches, value_at
from labcheck.labs.cifar import Cifar, logged

BEFORE, AFTER, END = (value_at("test_accuracy", epoch, rising=True) for epoch in (5, 6, 10))
JUMP = increase("test_accuracy", 5, 6)
REST = increase("test_accuracy", 6, 10)

claim = Claim(
    id="cifar/lr-drop",
    statement="The test accuracy jumps when the learning rate drops from .1 to .01, and is nearly flat afterwards.",
    citation="report curve-cifar, exercise 2, first thought: points 5 and 6 of the curve; no numbers",
    lab=Cifar,
    arms={
        "drop": Arm({"dropped": True}, logged(BEFORE, END, JUMP, REST)),
        "no drop": Arm({"dropped": False}),
    },
    relations=[
        reaches("drop", 0.03, JUMP),
        beats("drop", "no drop", JUMP, by=0.02),
        beats("drop", "drop", JUMP, other=REST),
        equivalent("drop", "drop", END, other=AFTER, margin=0.03),
    ],
    seeds={"quick": 5, "full": 5},
    comparable=["full"],
    notes=[
        "Until the drop both arms are one training: the script's new optimizer differs from the old one in the rate.",
        "A jump is three points, and two more than without the drop; it is nearly flat when four more epochs gain less "
        "than the one after the drop, and no more than three points.",
        "The report prints no numbers; public logs of classmates with the same script are placed beside our seeds at "
        "full size.",
    ],
)
