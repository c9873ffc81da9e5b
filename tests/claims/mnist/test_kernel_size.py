from labcheck.claims import Arm, Claim
from labcheck.labs.mnist import FINAL_LOSS, TEST_ACCURACY, Mnist, by_digit
from labcheck.metrics import average
from labcheck.relations import beats, equivalent, no_worse

LATE = average("val_accuracy", -5, rising=True)

claim = Claim(
    id="mnist/kernel-size",
    statement="5×5 kernels are at least as good as 3×3, and better on validation; larger ones train slightly worse and "
    "gain little on test digits.",
    source="report boston-mnist, part 2, the kernel size's influence, and the table below it",
    lab=Mnist,
    arms={
        "3×3": Arm(
            {"kernel": 3},
            {"table": by_digit(0.962, 0.9524, 1, 0.9574, 0.8966, 1, 0.9375, 0.9512, 0.9804, 0.9787, 0.9574)},
        ),
        "5×5": Arm(
            {"kernel": 5},
            {"table": by_digit(0.974, 0.9756, 1, 0.96, 0.9804, 0.9811, 0.9565, 0.975, 0.9623, 0.9615, 0.9783)},
        ),
        "7×7": Arm(
            {"kernel": 7},
            {"table": by_digit(0.976, 0.9756, 1, 0.9216, 1, 0.9815, 1, 0.9512, 0.9623, 0.9615, 1)},
        ),
        "9×9": Arm(
            {"kernel": 9},
            {"table": by_digit(0.98, 0.9756, 1, 0.98, 1, 1, 0.9362, 0.9737, 0.9811, 0.9811, 0.9583)},
        ),
    },
    relations=[
        no_worse("5×5", "3×3", TEST_ACCURACY, margin=0.005),
        beats("5×5", "3×3", LATE),
        beats("5×5", "7×7", FINAL_LOSS),
        beats("5×5", "9×9", FINAL_LOSS),
        equivalent("7×7", "5×5", TEST_ACCURACY, margin=0.01),
        equivalent("9×9", "5×5", TEST_ACCURACY, margin=0.01),
    ],
    seeds={"quick": 8, "full": 16},
    notes=[
        "At least as good is not worse by more than half a point; little is within one point.",
        "Training is worse when its loss in the last epoch is larger.",
    ],
)
