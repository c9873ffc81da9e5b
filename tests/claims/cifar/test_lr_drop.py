from labcheck import Arm, Claim, beats, equivalent, increase, reaches, value_at
from labcheck.labs.cifar import Cifar, logged

ACCURACY_BEFORE_DROP, ACCURACY_AFTER_DROP, FINAL_ACCURACY = (
    value_at("test_accuracy", epoch, rising=True) for epoch in (5, 6, 10)
)
ACCURACY_INCREASE_AT_DROP = increase("test_accuracy", 5, 6)
ACCURACY_INCREASE_AFTER_DROP = increase("test_accuracy", 6, 10)

claim = Claim(
    id="cifar/lr-drop",
    statement="The test accuracy jumps when the learning rate drops from .1 to .01, and is nearly flat afterwards.",
    citation="report curve-cifar, exercise 2, first thought, points 5 and 6 of the curve; no numbers",
    lab=Cifar,
    arms={
        "drop": Arm(
            {"dropped": True},
            logged(ACCURACY_BEFORE_DROP, FINAL_ACCURACY, ACCURACY_INCREASE_AT_DROP, ACCURACY_INCREASE_AFTER_DROP),
        ),
        "no drop": Arm({"dropped": False}),
    },
    relations=[
        reaches("drop", 0.03, ACCURACY_INCREASE_AT_DROP),
        beats("drop", "no drop", ACCURACY_INCREASE_AT_DROP, by=0.02),
        beats("drop", "drop", ACCURACY_INCREASE_AT_DROP, other=ACCURACY_INCREASE_AFTER_DROP),
        equivalent("drop", "drop", FINAL_ACCURACY, other=ACCURACY_AFTER_DROP, margin=0.03),
    ],
    seeds={"quick": 8, "full": 20},
    comparable=["full"],
    notes=[
        "Until the drop, both arms are the same training, since the new optimizer of the script differs from the old "
        "one only in its learning rate.",
        "A jump is an increase by at least three points, and by at least two more than without the drop. The accuracy "
        "is nearly flat if the next four epochs increase it by less than the first epoch after the drop, and change it "
        "by at most three points.",
        "The report prints no numbers. At full scale, public logs of classmates with the same script are shown beside "
        "our seeds.",
    ],
)
