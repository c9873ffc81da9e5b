from labcheck.claims import Arm, Claim, Quoted
from labcheck.labs.boston import FINAL_LOSS, MEAN_VAL_MSE, TEST_MAE, TEST_MSE, TEST_R2, VAL_MSE, Boston
from labcheck.metrics import epochs_to, swing
from labcheck.relations import beats, diverges


def printed(mse: float, mae: float, r2: float, where: str) -> tuple[Quoted, ...]:
    return Quoted(TEST_MSE, mse, where), Quoted(TEST_MAE, mae, where), Quoted(TEST_R2, r2, where)


NAN = float("nan")
THERE = epochs_to("val_loss", below=20)  # where the report's slowest rate ends
SWING = swing("val_loss", -50)

claim = Claim(
    id="boston/learning-rate",
    statement="A learning rate of 0.1 diverges; of 0.01, 0.001 and 0.0001, a higher one predicts better, "
    "converges faster and less steadily.",
    source="report boston-mnist, part 1, the learning rate's influence",
    lab=Boston,
    arms={
        "lr 0.1": Arm(
            {"hidden_layers": 2, "lr": 0.1},
            [Quoted(TEST_MSE, NAN, "text"), *printed(8.2535, 2.0562, 0.8865, "other run")],
        ),
        "lr 0.01": Arm(
            {"hidden_layers": 2, "lr": 0.01},
            [*printed(6.5521, 2.0118, 0.9099, "text"), *printed(8.0367, 2.1661, 0.8895, "other run")],
        ),
        "lr 0.001": Arm(
            {"hidden_layers": 2, "lr": 0.001},
            [*printed(9.5214, 2.4073, 0.8691, "text"), *printed(13.9728, 2.7233, 0.8078, "other run")],
        ),
        "lr 0.0001": Arm(
            {"hidden_layers": 2, "lr": 0.0001},
            [*printed(19.9742, 3.4165, 0.7253, "text"), *printed(416.7616, 18.6372, -4.7317, "other run")],
        ),
    },
    relations=[
        diverges("lr 0.1", FINAL_LOSS, VAL_MSE, MEAN_VAL_MSE),
        beats("lr 0.01", "lr 0.001", TEST_MSE),
        beats("lr 0.001", "lr 0.0001", TEST_MSE),
        beats("lr 0.01", "lr 0.001", THERE),
        beats("lr 0.001", "lr 0.0001", THERE),
        beats("lr 0.001", "lr 0.01", SWING),
        beats("lr 0.0001", "lr 0.001", SWING),
    ],
)
