from labcheck.claims import Arm, Claim
from labcheck.labs.boston import TEST_MAE, TEST_MSE, TEST_R2, Boston
from labcheck.metrics import epochs_to_settle
from labcheck.relations import beats, misses, reaches

SETTLED = epochs_to_settle("val_loss", within=0.1)

claim = Claim(
    id="boston/activation",
    statement="ReLU predicts best, then tanh, then sigmoid; ReLU has converged within 10 epochs, tanh within 60, "
    "sigmoid is far from it at the end.",
    source="report boston-mnist, part 1, the activation's influence; the other run is in the listing's output",
    lab=Boston,
    arms={
        "relu": Arm(
            {"activation": "relu"},
            {
                "text": {TEST_MSE: 8.8628, TEST_MAE: 2.2904, TEST_R2: 0.8781},
                "other run": {TEST_MSE: 13.4064, TEST_MAE: 2.8509, TEST_R2: 0.8156},
            },
        ),
        "tanh": Arm(
            {"activation": "tanh"},
            {
                "text": {TEST_MSE: 11.5156, TEST_MAE: 2.5597, TEST_R2: 0.8416},
                "other run": {TEST_MSE: 47.8091, TEST_MAE: 4.1959, TEST_R2: 0.3425},
            },
        ),
        "sigmoid": Arm(
            {"activation": "sigmoid"},
            {
                "text": {TEST_MSE: 19.2103, TEST_MAE: 3.1946, TEST_R2: 0.7358},
                "other run": {TEST_MSE: 76.2345, TEST_MAE: 5.7393, TEST_R2: -0.0485},
            },
        ),
    },
    relations=[
        beats("relu", "tanh", TEST_MSE),
        beats("tanh", "sigmoid", TEST_MSE),
        reaches("relu", 10, SETTLED),
        reaches("tanh", 60, SETTLED),
        misses("sigmoid", 90, SETTLED),
    ],
    seeds={"quick": 60, "full": 240},
    notes=[
        "Converged is within 10 % of the lowest validation loss; far from it is not so in 90 of the 100 epochs.",
    ],
)
