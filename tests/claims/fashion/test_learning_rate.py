from labcheck import CPU_SECONDS, Arm, Claim, beats, mean_rebound, some_stay_worse_than, value_at
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion

SWING = mean_rebound("test_loss", rising=False)
HIGHER = {f"lr {lr:g}": Arm({"lr": lr}) for lr in (1.0, 2.0, 5.0, 10.0)}
ASSERTED = {FINAL_LOSS: 0.5, value_at("batch_accuracy", 5, rising=True): 0.7, TEST_ACCURACY: 0.7}

claim = Claim(
    id="fashion/learning-rate",
    statement="A rate of .3 does better than .1, .7 swings and learns less precisely, a higher one collapses; "
    "an ill-chosen rate costs more CPU time.",
    citation="report fashion, the learning rate's influence; figures 256-256-.1-5, 256-256-.3-5, 256-256-.7-5",
    lab=Fashion,
    arms={"lr 0.1": Arm({"lr": 0.1}), "lr 0.3": Arm({"lr": 0.3}), "lr 0.7": Arm({"lr": 0.7}), **HIGHER},
    relations=[
        beats("lr 0.3", "lr 0.1", FINAL_LOSS),
        beats("lr 0.3", "lr 0.1", TEST_ACCURACY),
        beats("lr 0.3", "lr 0.7", SWING),
        beats("lr 0.3", "lr 0.7", FINAL_LOSS),
        some_stay_worse_than([*HIGHER], {TEST_ACCURACY: 0.2}),
        some_stay_worse_than([*HIGHER], ASSERTED, label="as the textbook asserts"),
        beats("lr 0.3", "lr 0.7", CPU_SECONDS, by=0.1),
    ],
    seeds={"quick": 10, "full": 20},
    notes=[
        "How high is too high the report does not say: it is enough that one of 1, 2, 5 and 10 collapses.",
        "A net has collapsed when it ends with a test accuracy below 20 %, where guessing gets 10 %. The textbook's "
        "training function asserts less: a training loss below .5, and accuracies in training and on test images above "
        "70 %.",
        "It swings as much as its test loss climbs back in five epochs.",
        "Less CPU time is a tenth less for an epoch.",
    ],
)
