from labcheck import CPU_SECONDS, Arm, Claim, beats, mean_rebound, some_stay_worse_than, value_at
from labcheck.labs.fashion import FINAL_LOSS, TEST_ACCURACY, Fashion

TEST_REBOUND = mean_rebound("test_loss", rising=False)
HIGHER_RATES = {f"lr {lr:g}": Arm({"lr": lr}) for lr in (1.0, 2.0, 5.0, 10.0)}
TEXTBOOK_LIMITS = {FINAL_LOSS: 0.5, value_at("batch_accuracy", 5, rising=True): 0.7, TEST_ACCURACY: 0.7}

claim = Claim(
    id="fashion/learning-rate",
    statement="A rate of .3 is better than .1; .7 is less steady and learns less precisely, and a higher one "
    "collapses; a badly chosen rate costs more CPU time.",
    citation="report fashion, influence of the learning rate; figures 256-256-.1-5, 256-256-.3-5, 256-256-.7-5",
    lab=Fashion,
    arms={"lr 0.1": Arm({"lr": 0.1}), "lr 0.3": Arm({"lr": 0.3}), "lr 0.7": Arm({"lr": 0.7}), **HIGHER_RATES},
    relations=[
        beats("lr 0.3", "lr 0.1", FINAL_LOSS),
        beats("lr 0.3", "lr 0.1", TEST_ACCURACY),
        beats("lr 0.3", "lr 0.7", TEST_REBOUND),
        beats("lr 0.3", "lr 0.7", FINAL_LOSS),
        some_stay_worse_than([*HIGHER_RATES], {TEST_ACCURACY: 0.2}),
        some_stay_worse_than([*HIGHER_RATES], TEXTBOOK_LIMITS, label="as the textbook asserts"),
        beats("lr 0.3", "lr 0.7", CPU_SECONDS, by=0.1),
    ],
    seeds={"quick": 10, "full": 20},
    notes=[
        "The report does not state which rates are too high, so one of 1, 2, 5 and 10 has to collapse.",
        "A network has collapsed if its final test accuracy is below 20 %, where guessing achieves 10 %. The "
        "textbook's training function asserts more: a training loss below .5, and accuracies on training and test "
        "images above 70 %.",
        "Steadiness is how little the test loss rebounds within five epochs.",
        "Less CPU time means a tenth less per epoch.",
    ],
)
