from labcheck.claims import Arm, Claim
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion
from labcheck.metrics import CPU_SECONDS, swing
from labcheck.relations import beats, misses

SWING = swing("test_loss")

claim = Claim(
    id="fashion/learning-rate",
    statement="A rate of .3 does better than .1, .7 swings and learns less precisely, a higher one collapses; "
    "an ill-chosen rate costs more CPU time.",
    source="report fashion, the learning rate's influence; figures 256-256-.1-5, 256-256-.3-5, 256-256-.7-5",
    lab=Fashion,
    arms={
        "lr 0.1": Arm({"lr": 0.1}),
        "lr 0.3": Arm({"lr": 0.3}),
        "lr 0.7": Arm({"lr": 0.7}),
        "lr 1": Arm({"lr": 1.0}),
    },
    relations=[
        beats("lr 0.3", "lr 0.1", FINAL_LOSS),
        beats("lr 0.3", "lr 0.1", TEST_ACCURACY),
        beats("lr 0.3", "lr 0.7", SWING),
        beats("lr 0.3", "lr 0.7", FINAL_LOSS),
        misses("lr 1", 0.2, TEST_ACCURACY),
        beats("lr 0.3", "lr 0.7", CPU_SECONDS, by=0.1),
    ],
    seeds={"quick": 10, "full": 20},
    notes=[
        "How high is too high the report does not say: 1 is assumed. A net has collapsed when it ends with a test "
        "accuracy below 20 %, where guessing gets 10 %.",
        "It swings as much as its test loss climbs back in five epochs.",
        "More CPU time is a tenth more for an epoch.",
    ],
)
