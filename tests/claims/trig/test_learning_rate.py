from labcheck import Arm, Claim, beats
from labcheck.labs.trig import RANKED, VAL_MSE, Trig

claim = Claim(
    id="trig/learning-rate",
    statement="Among the initial learning rates 1, 0.1 and 0.01, 0.1 is best.",
    citation="report trig, Table 3; the text below it names another one, see trig/learning-rate-text",
    lab=Trig,
    arms={
        "lr 1": Arm({"lr": 1.0}, {"Table 3": {VAL_MSE: 0.00351}}),
        "lr 0.1": Arm({}, {"Table 3": {VAL_MSE: 0.00273}}),
        "lr 0.01": Arm({"lr": 0.01}, {"Table 3": {VAL_MSE: 0.00372}}),
    },
    relations=[beats("lr 0.1", other, metric) for other in ("lr 1", "lr 0.01") for metric in RANKED],
    seeds={"quick": 60, "full": 200},
)
