from labcheck import Arm, Claim, equivalent, increase, never_decreases, reaches, value_at
from labcheck.labs.cifar import Cifar, logged

FINAL_TRAIN_ACCURACY = value_at("batch_accuracy", 10, rising=True)
TRAIN_INCREASE = increase("batch_accuracy", 1, 10)
TEST_INCREASE = increase("test_accuracy", 1, 10)

claim = Claim(
    id="cifar/train-vs-test",
    statement="The accuracies on training and test images rise over the epochs, monotonically and by similar amounts.",
    citation="report curve-cifar, exercise 2, second thought; no numbers",
    lab=Cifar,
    arms={"drop": Arm({"dropped": True}, logged(FINAL_TRAIN_ACCURACY, TRAIN_INCREASE, TEST_INCREASE))},
    relations=[
        reaches("drop", 0.1, TRAIN_INCREASE),
        reaches("drop", 0.1, TEST_INCREASE),
        never_decreases("drop", "batch_accuracy"),
        never_decreases("drop", "test_accuracy"),
        equivalent("drop", "drop", TRAIN_INCREASE, other=TEST_INCREASE, margin=0.1),
    ],
    seeds={"quick": 8, "full": 20},
    comparable=["full"],
    notes=[
        "As in the report's script, the training accuracy is that of minibatches during training.",
        "An accuracy rises if it is at least ten points higher after ten epochs than after one. Amounts are similar if "
        "they differ by at most ten points.",
        "The report's 391 training batches and 79 test batches are 50,000 and 10,000 images in batches of 128.",
        "The report prints no numbers. At full scale, public logs of classmates with the same script are shown beside "
        "our seeds.",
    ],
)
