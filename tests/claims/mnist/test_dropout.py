from labcheck import Arm, Claim, beats, equivalent, geometric_mean, value_at
from labcheck.labs.mnist import LATE_VAL_ACCURACY, ONE_POINT, TEST_ACCURACY, Mnist, table_row

FIRST_VAL_ACCURACY = value_at("val_accuracy", 1, rising=True)
EARLY_LOSS = geometric_mean("batch_loss", 0, 5, rising=False)
EARLY_VAL_LOSS = geometric_mean("val_loss", 0, 5, rising=False)

claim = Claim(
    id="mnist/dropout",
    statement="A moderate dropout rate helps in validation; a high one helps less, starts lower and learns slowly; on "
    "test digits the rates hardly differ.",
    citation="report boston-mnist, part 2, effect of dropout and the table of four rates below it",
    lab=Mnist,
    arms={
        "none": Arm(
            {"dropout": "none"},
            {"table": table_row(0.98, 1, 0.9643, 0.9636, 1, 1, 0.9362, 1, 1, 0.9429, 0.9825)},
        ),
        "low": Arm(
            {"dropout": "low"},
            {"table": table_row(0.98, 0.9783, 0.9643, 1, 0.9815, 1, 0.9778, 1, 0.96, 0.973, 0.9649)},
        ),
        "moderate": Arm(
            {"dropout": "moderate"},
            {"table": table_row(0.984, 1, 0.9649, 0.9815, 1, 1, 0.9565, 1, 1, 1, 0.9492)},
        ),
        "high": Arm(
            {"dropout": "high"},
            {"table": table_row(0.982, 1, 0.9821, 0.9464, 1, 1, 0.9565, 0.9792, 1, 1, 0.9655)},
        ),
    },
    relations=[
        beats("moderate", "none", LATE_VAL_ACCURACY),
        beats("high", "none", LATE_VAL_ACCURACY),
        beats("moderate", "high", LATE_VAL_ACCURACY),
        beats("none", "high", FIRST_VAL_ACCURACY),
        beats("none", "high", EARLY_LOSS),
        beats("none", "high", EARLY_VAL_LOSS),
        *(equivalent(rate, "none", TEST_ACCURACY, margin=ONE_POINT) for rate in ("low", "moderate", "high")),
    ],
    seeds={"quick": 16, "full": 16},
    comparable=["full"],
    notes=[
        "The third accuracy is illegible in the table: it is 492 of 500 digits in the confusion matrix above it.",
        "The report does not name its rates: the four in the table are assumed to be none, low, moderate and high.",
        "A rate helps in validation if the mean accuracy over the last five epochs is higher. Learning is slow if the "
        "mean loss over the first five epochs is larger, in training and in validation.",
        "The rates hardly differ if each is within one point of none.",
    ],
)
