from labcheck.claims import Arm, Claim
from labcheck.labs.mnist import TEST_ACCURACY, Mnist
from labcheck.metrics import at, epochs_to
from labcheck.relations import beats

FIRST = at("val_accuracy", 1, rising=True)
THERE = epochs_to("batch_loss", below=0.2)

claim = Claim(
    id="mnist/dropout",
    statement="A moderate dropout rate recognises more test digits than none; a high one less than that, with a lower "
    "accuracy at first and slower convergence.",
    source="report boston-mnist, part 2, the effect of dropout; test accuracies .980, .980, –, .982 over four rates",
    lab=Mnist,
    arms={
        "rate 0": Arm({"dropout": 0.0}, {"table": {TEST_ACCURACY: 0.98}}),
        "rate 0.25": Arm({"dropout": 0.25}, {"table": {TEST_ACCURACY: 0.98}}),
        "rate 0.5": Arm({"dropout": 0.5}),
        "rate 0.75": Arm({"dropout": 0.75}, {"table": {TEST_ACCURACY: 0.982}}),
    },
    relations=[
        beats("rate 0.5", "rate 0", TEST_ACCURACY),
        beats("rate 0.5", "rate 0.75", TEST_ACCURACY),
        beats("rate 0.25", "rate 0.75", FIRST),
        beats("rate 0.25", "rate 0.75", THERE),
    ],
    seeds={"quick": 8, "full": 16},
    notes=[
        "The report does not name its rates: 0, .25, .5 and .75 are assumed, of which .5 is moderate and .75 high.",
        "Convergence is how many epochs it takes until the training loss is .2.",
    ],
)
