from labcheck.claims import Arm, Claim
from labcheck.labs.boston import TEST_MAE, TEST_MSE, TEST_R2, Boston
from labcheck.metrics import average, swing
from labcheck.relations import beats

LATE_TRAINING = average("batch_loss", -7)  # the epochs in which the report sees 8 layers below the others
TRAINING_SWING = swing("batch_loss", -50)
SWING = swing("val_loss", -50)

claim = Claim(
    id="boston/depth",
    statement="Two hidden layers predict better than one; eight swing more and predict worse again, "
    "though their training loss ends lowest.",
    source="report boston-mnist, part 1, the depth's influence; the other run is in the listing's output",
    lab=Boston,
    arms={
        "1 layer": Arm(
            {"hidden_layers": 1},
            {
                "text": {TEST_MSE: 11.1033, TEST_MAE: 2.5860, TEST_R2: 0.8473},
                "other run": {TEST_MSE: 34.5248, TEST_MAE: 4.5727, TEST_R2: 0.5252},
            },
        ),
        "2 layers": Arm(
            {"hidden_layers": 2},
            {
                "text": {TEST_MSE: 8.0066, TEST_MAE: 2.1820, TEST_R2: 0.8899},
                "other run": {TEST_MSE: 13.1692, TEST_MAE: 2.7462, TEST_R2: 0.8189},
            },
        ),
        "3 layers": Arm(
            {"hidden_layers": 3},
            {"other run": {TEST_MSE: 11.2519, TEST_MAE: 2.5523, TEST_R2: 0.8453}},
        ),
        "8 layers": Arm(
            {"hidden_layers": 8},
            {"text": {TEST_MSE: 9.2127, TEST_MAE: 2.3669, TEST_R2: 0.8733}},
        ),
    },
    relations=[
        beats("2 layers", "1 layer", TEST_MSE),
        beats("2 layers", "8 layers", TEST_MSE),
        beats("8 layers", "1 layer", LATE_TRAINING),
        beats("8 layers", "2 layers", LATE_TRAINING),
        beats("2 layers", "8 layers", TRAINING_SWING),
        beats("2 layers", "8 layers", SWING),
    ],
    seeds={"quick": 60, "full": 240},
    notes=["A loss swings as much as it climbs back in the last 50 epochs."],
)
