from labcheck import Arm, Claim, beats, geometric_mean, mean_rebound
from labcheck.labs.boston import TEST_MAE, TEST_MSE, TEST_R2, VAL_MSE, Boston

LATE_TRAINING = geometric_mean(
    "batch_loss", -7, rising=False
)  # the epochs in which the report sees 8 layers below the others
LATE_VALIDATION = geometric_mean("val_loss", -2, rising=False)  # the epochs in which it sees them above
TRAINING_SWING = mean_rebound("batch_loss", rising=False)
SWING = mean_rebound("val_loss", rising=False)

claim = Claim(
    id="boston/depth",
    statement="Two hidden layers train, validate and test better than one; eight train and validate better still, but "
    "swing more, and end worse in validation and on test.",
    citation="report boston-mnist, part 1, the depth's influence",
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
        beats("2 layers", "1 layer", LATE_TRAINING),
        beats("2 layers", "1 layer", VAL_MSE),
        beats("2 layers", "1 layer", TEST_MSE),
        beats("8 layers", "1 layer", LATE_TRAINING),
        beats("8 layers", "2 layers", LATE_TRAINING),
        beats("8 layers", "2 layers", VAL_MSE),
        beats("2 layers", "8 layers", TRAINING_SWING),
        beats("2 layers", "8 layers", SWING),
        beats("2 layers", "8 layers", LATE_VALIDATION),
        beats("2 layers", "8 layers", TEST_MSE),
    ],
    seeds={"quick": 60, "full": 240},
    notes=[
        "Training loss is that of the last seven epochs, in which the report sees eight layers lowest; validation is "
        "the lowest loss, whose weights are kept, and its end the last two epochs.",
        "A loss swings as much as it climbs back over the whole run, for the plateau cuts the rate later.",
    ],
)
