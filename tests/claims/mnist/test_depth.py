from labcheck import CPU_SECONDS, Arm, Claim, beats, equivalent, geometric_mean, mean_rebound, no_worse, value_at
from labcheck.labs.mnist import ONE_POINT, TEST_ACCURACY, TRAIN_ACCURACY, Mnist, table_row

VAL_ACCURACY_FROM_EPOCH_15 = geometric_mean("val_accuracy", 14, rising=True)
FIRST_TRAINING_LOSS = value_at("batch_loss", 1, rising=False)
EARLY_VAL_REBOUND = mean_rebound("val_accuracy", 0, 8, rising=True)

claim = Claim(
    id="mnist/depth",
    statement="Two and four convolutions recognize more test digits than one, which fits its training digits "
    "nevertheless; four are about as good as two, after slower and less steady training; more layers take more time, "
    "and none overfits.",
    citation="report boston-mnist, part 2, influence of the depth and the table below it",
    lab=Mnist,
    arms={
        "1 layer": Arm(
            {"layers": 1},
            {"table": table_row(0.968, 0.9434, 1, 0.9643, 1, 0.9783, 0.9773, 0.963, 0.9767, 0.975, 0.9206)},
        ),
        "2 layers": Arm(
            {"layers": 2},
            {"table": table_row(0.99, 1, 1, 1, 1, 0.98, 1, 0.9643, 1, 0.975, 0.9831)},
        ),
        "4 layers": Arm(
            {"layers": 4},
            {"table": table_row(0.98, 1, 0.9796, 1, 1, 1, 0.9, 0.9818, 0.9762, 0.9756, 0.9833)},
        ),
    },
    relations=[
        beats("2 layers", "1 layer", TEST_ACCURACY),
        beats("4 layers", "1 layer", TEST_ACCURACY),
        equivalent("4 layers", "2 layers", TEST_ACCURACY, margin=ONE_POINT),
        equivalent("4 layers", "2 layers", VAL_ACCURACY_FROM_EPOCH_15, margin=ONE_POINT),
        beats("2 layers", "4 layers", FIRST_TRAINING_LOSS),
        beats("2 layers", "4 layers", EARLY_VAL_REBOUND),
        no_worse("1 layer", "2 layers", TRAIN_ACCURACY, margin=ONE_POINT),
        beats("1 layer", "2 layers", CPU_SECONDS, by=0.1),
        beats("2 layers", "4 layers", CPU_SECONDS, by=0.1),
        no_worse("2 layers", "2 layers", TEST_ACCURACY, other=TRAIN_ACCURACY, margin=0.03),
        no_worse("4 layers", "4 layers", TEST_ACCURACY, other=TRAIN_ACCURACY, margin=0.03),
    ],
    seeds={"quick": 16, "full": 16},
    comparable=["full"],
    notes=[
        "About as good means within one point; two curves have met if their means from epoch 15 on are within one "
        "point.",
        "Slower training means a larger mean training loss in the first epoch. Steadiness is how little the validation "
        "accuracy falls back within the first eight epochs.",
        "One layer fits its training digits if its accuracy on them is at most one point below that of two layers.",
        "Less time means a tenth less CPU time per epoch.",
        "A network overfits if its test accuracy is more than three points below its training accuracy.",
    ],
)
