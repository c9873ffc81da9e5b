from labcheck import Arm, Claim, equivalent, increase, never_decreases, reaches, value_at
from labcheck.labs.cifar import Cifar, logged

LAST_TRAIN = value_at("batch_accuracy", 10, rising=True)
TRAIN = increase("batch_accuracy", 1, 10)
TEST = increase("test_accuracy", 1, 10)

claim = Claim(
    id="cifar/train-vs-test",
    statement="Accuracy on training and on test images rises over the epochs, monotonically, and by like amounts.",
    citation="report curve-cifar, exercise 2, second thought; no numbers",
    lab=Cifar,
    arms={"drop": Arm({"dropped": True}, logged(LAST_TRAIN, TRAIN, TEST))},
    relations=[
        reaches("drop", 0.1, TRAIN),
        reaches("drop", 0.1, TEST),
        never_decreases("drop", "batch_accuracy"),
        never_decreases("drop", "test_accuracy"),
        equivalent("drop", "drop", TRAIN, other=TEST, margin=0.1),
    ],
    seeds={"quick": 5, "full": 5},
    comparable=["full"],
    notes=[
        "As in the report's script, the training accuracy is that of minibatches while they are learned from.",
        "It rises when ten epochs gain ten points; like amounts differ by no more than ten.",
        "391 batches to train on and 79 to test on are what 50,000 and 10,000 images make in batches of 128.",
        "The report prints no numbers; public logs of classmates with the same script are placed beside our seeds at "
        "full size.",
    ],
)
