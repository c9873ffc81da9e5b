from labcheck import Arm, Claim, beats, diverges, epochs_to, mean_rebound
from labcheck.labs.boston import FINAL_LOSS, MEAN_VAL_MSE, TEST_MAE, TEST_MSE, TEST_R2, VAL_MSE, Boston

EPOCHS_TO_TARGET = epochs_to("val_loss", below=20)  # the final loss of the lowest rate in the report
VAL_REBOUND = mean_rebound("val_loss", rising=False)

claim = Claim(
    id="boston/learning-rate",
    statement="A learning rate of 0.1 diverges; among 0.01, 0.001 and 0.0001, a higher rate predicts better and "
    "converges faster, but less steadily.",
    citation="report boston-mnist, part 1, influence of the learning rate",
    lab=Boston,
    arms={
        "lr 0.1": Arm({"hidden_layers": 2, "lr": 0.1}, {"text": {TEST_MSE: float("nan")}}),
        "lr 0.01": Arm(
            {"hidden_layers": 2, "lr": 0.01}, {"text": {TEST_MSE: 6.5521, TEST_MAE: 2.0118, TEST_R2: 0.9099}}
        ),
        "lr 0.001": Arm(
            {"hidden_layers": 2, "lr": 0.001}, {"text": {TEST_MSE: 9.5214, TEST_MAE: 2.4073, TEST_R2: 0.8691}}
        ),
        "lr 0.0001": Arm(
            {"hidden_layers": 2, "lr": 0.0001}, {"text": {TEST_MSE: 19.9742, TEST_MAE: 3.4165, TEST_R2: 0.7253}}
        ),
    },
    relations=[
        diverges("lr 0.1", FINAL_LOSS, VAL_MSE, MEAN_VAL_MSE),
        beats("lr 0.01", "lr 0.001", TEST_MSE),
        beats("lr 0.001", "lr 0.0001", TEST_MSE),
        beats("lr 0.01", "lr 0.001", EPOCHS_TO_TARGET),
        beats("lr 0.001", "lr 0.0001", EPOCHS_TO_TARGET),
        beats("lr 0.001", "lr 0.01", VAL_REBOUND),
        beats("lr 0.0001", "lr 0.001", VAL_REBOUND),
    ],
    seeds={"quick": 60, "full": 240},
    notes=[
        "Convergence is faster if fewer epochs reach a validation loss of 20, the final loss of the lowest rate in the "
        "report.",
        "Steadiness is how little the validation loss rebounds over the whole run, since at its end the plateau "
        "schedule has lowered the learning rate.",
    ],
)
