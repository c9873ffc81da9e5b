from labcheck import Arm, Claim, beats, equivalent, no_worse
from labcheck.labs.mnist import LATE_VAL_ACCURACY, ONE_POINT, TEST_ACCURACY, Mnist, table_row

LARGER = ("7×7", "9×9")

claim = Claim(
    id="mnist/kernel-size",
    statement="5×5 kernels are no worse than 3×3 on test digits and clearly better in validation; larger ones are "
    "slightly worse in validation and gain little on test digits, where they are also better than 3×3.",
    citation="report boston-mnist, part 2, influence of the kernel size and the table below it",
    lab=Mnist,
    arms={
        "3×3": Arm(
            {"kernel": 3},
            {"table": table_row(0.962, 0.9524, 1, 0.9574, 0.8966, 1, 0.9375, 0.9512, 0.9804, 0.9787, 0.9574)},
        ),
        "5×5": Arm(
            {"kernel": 5},
            {"table": table_row(0.974, 0.9756, 1, 0.96, 0.9804, 0.9811, 0.9565, 0.975, 0.9623, 0.9615, 0.9783)},
        ),
        "7×7": Arm(
            {"kernel": 7},
            {"table": table_row(0.976, 0.9756, 1, 0.9216, 1, 0.9815, 1, 0.9512, 0.9623, 0.9615, 1)},
        ),
        "9×9": Arm(
            {"kernel": 9},
            {"table": table_row(0.98, 0.9756, 1, 0.98, 1, 1, 0.9362, 0.9737, 0.9811, 0.9811, 0.9583)},
        ),
    },
    relations=[
        no_worse("5×5", "3×3", TEST_ACCURACY, margin=0.005),
        beats("5×5", "3×3", LATE_VAL_ACCURACY, by=0.005),
        *(beats("5×5", larger, LATE_VAL_ACCURACY) for larger in LARGER),
        *(no_worse(larger, "5×5", LATE_VAL_ACCURACY, margin=ONE_POINT) for larger in LARGER),
        *(equivalent(larger, "5×5", TEST_ACCURACY, margin=ONE_POINT) for larger in LARGER),
        *(beats(larger, "3×3", TEST_ACCURACY) for larger in LARGER),
    ],
    seeds={"quick": 16, "full": 16},
    comparable=["full"],
    notes=[
        "No worse means by at most half a point, and clearly better by more than half a point. Slightly worse and a "
        "little gain mean within one point.",
        "The accuracy in validation is the mean over the last five epochs.",
    ],
)
