from labcheck import Arm, Claim, beats, geometric_mean, mean_rebound
from labcheck.labs.boston import TEST_MAE, TEST_MSE, TEST_R2, VAL_MSE, Boston

# the last epochs, in which the report has 8 layers below the others in training and above them in validation
LATE_TRAINING_LOSS = geometric_mean("batch_loss", -7, rising=False)
LATE_VAL_LOSS = geometric_mean("val_loss", -2, rising=False)
TRAINING_REBOUND = mean_rebound("batch_loss", rising=False)
VAL_REBOUND = mean_rebound("val_loss", rising=False)

claim = Claim(
    id="boston/depth",
    statement="Two hidden layers have lower training, validation and test losses than one; eight have even lower "
    "training and validation losses, but less steady ones, and end with higher losses in validation and on test.",
    citation="report boston-mnist, part 1, influence of the depth",
    lab=Boston,
    arms={
        "1 layer": Arm(
            {"hidden_layers": 1, "lr": 0.001}, {"text": {TEST_MSE: 11.1033, TEST_MAE: 2.5860, TEST_R2: 0.8473}}
        ),
        "2 layers": Arm(
            {"hidden_layers": 2, "lr": 0.001}, {"text": {TEST_MSE: 8.0066, TEST_MAE: 2.1820, TEST_R2: 0.8899}}
        ),
        "8 layers": Arm(
            {"hidden_layers": 8, "lr": 0.001}, {"text": {TEST_MSE: 9.2127, TEST_MAE: 2.3669, TEST_R2: 0.8733}}
        ),
    },
    relations=[
        beats("2 layers", "1 layer", LATE_TRAINING_LOSS),
        beats("2 layers", "1 layer", VAL_MSE),
        beats("2 layers", "1 layer", TEST_MSE),
        beats("8 layers", "1 layer", LATE_TRAINING_LOSS),
        beats("8 layers", "2 layers", LATE_TRAINING_LOSS),
        beats("8 layers", "2 layers", VAL_MSE),
        beats("2 layers", "8 layers", TRAINING_REBOUND),
        beats("2 layers", "8 layers", VAL_REBOUND),
        beats("2 layers", "8 layers", LATE_VAL_LOSS),
        beats("2 layers", "8 layers", TEST_MSE),
    ],
    seeds={"quick": 60, "full": 240},
    notes=[
        "The training loss is that of the last seven epochs, in which it is lowest for eight layers in the report. The "
        "validation loss is the lowest one, whose weights are restored; at the end it is that of the last two epochs.",
        "Steadiness is how little a loss rebounds over the whole run, since at its end the plateau schedule has "
        "lowered the learning rate.",
    ],
)
