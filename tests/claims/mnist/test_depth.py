from labcheck.claims import Arm, Claim
from labcheck.labs.mnist import TEST_ACCURACY, Mnist, by_digit
from labcheck.metrics import at, average, swing
from labcheck.relations import beats, equivalent

LATE = average("val_accuracy", 14, rising=True)
FIRST_LOSS = at("batch_loss", 1)
JITTER = swing("val_accuracy", 0, 8, rising=True)

claim = Claim(
    id="mnist/depth",
    statement="Two convolutions recognise more test digits than one, four about as many as two, on validation after 15 "
    "epochs; the loss of four falls more slowly at first, and their accuracy jitters more.",
    source="report boston-mnist, part 2, the depth's influence, and the table below it",
    lab=Mnist,
    arms={
        "1 layer": Arm(
            {"layers": 1},
            {"table": by_digit(0.968, 0.9434, 1, 0.9643, 1, 0.9783, 0.9773, 0.963, 0.9767, 0.975, 0.9206)},
        ),
        "2 layers": Arm(
            {"layers": 2},
            {"table": by_digit(0.99, 1, 1, 1, 1, 0.98, 1, 0.9643, 1, 0.975, 0.9831)},
        ),
        "4 layers": Arm(
            {"layers": 4},
            {"table": by_digit(0.98, 1, 0.9796, 1, 1, 1, 0.9, 0.9818, 0.9762, 0.9756, 0.9833)},
        ),
    },
    relations=[
        beats("2 layers", "1 layer", TEST_ACCURACY),
        equivalent("4 layers", "2 layers", TEST_ACCURACY, margin=0.01),
        equivalent("4 layers", "2 layers", LATE, margin=0.01),
        beats("2 layers", "4 layers", FIRST_LOSS),
        beats("2 layers", "4 layers", JITTER),
    ],
    seeds={"quick": 8, "full": 16},
    notes=[
        "About the same is within one point.",
        "Slower at first is a larger training loss in the first epoch; jitter is how much the validation accuracy "
        "falls back in the first half.",
    ],
)
