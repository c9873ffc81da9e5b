from labcheck.claims import Arm, Claim
from labcheck.labs.images import accuracy
from labcheck.labs.mnist import TEST_ACCURACY, VAL_ACCURACY, Mnist
from labcheck.metrics import at, average, swing
from labcheck.relations import beats, reaches

ALL = {"train_size": 48_000, "val_size": 12_000, "test_size": 10_000}
LATE = average("val_accuracy", -5, rising=True)
JITTER = swing("val_accuracy", 0, 8, rising=True)

claim = Claim(
    id="mnist/full-set",
    statement="On all of MNIST the net reaches 99 % on each part; on validation four convolutions are better than two, "
    "though their accuracy jitters more at first, and 5×5 kernels than 3×3; high dropout is slow.",
    source="report boston-mnist, part 2, what it says of the full set: at the head, and under each influence",
    lab=Mnist,
    arms={
        "base": Arm(ALL, {"text": {TEST_ACCURACY: 0.99}}),
        "4 layers": Arm({**ALL, "layers": 4}),
        "3×3": Arm({**ALL, "kernel": 3}),
        "dropout": Arm({**ALL, "dropout": 0.75}),
    },
    relations=[
        *(reaches("base", 0.99, metric) for metric in (accuracy("train"), VAL_ACCURACY, TEST_ACCURACY)),
        beats("4 layers", "base", LATE),
        beats("base", "4 layers", JITTER),
        beats("base", "3×3", LATE),
        *(beats("base", "dropout", at(curve, 1)) for curve in ("batch_loss", "val_loss")),
        beats("base", "dropout", at("val_accuracy", 1, rising=True)),
    ],
    seeds={"full": 5},
    notes=[
        "The report divides the full set as its 3000 digits, 4.8 : 1.2 : 1.",
        "Better on validation is a higher mean accuracy over the last five epochs; jitter is how much the accuracy "
        "falls back in the first half; slow is worse after the first epoch.",
    ],
)
