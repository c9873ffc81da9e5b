from labcheck import Arm, Claim, beats
from labcheck.labs.trig import RANKED, VAL_MSE, Trig

claim = Claim(
    id="trig/momentum",
    statement="Momentum 0.9 is best: without momentum, training gets caught in local minima, and with 0.99 it "
    "overshoots.",
    citation="report trig, Table 3 and the text below it",
    lab=Trig,
    arms={
        "m=0": Arm({"momentum": 0.0}, {"Table 3": {VAL_MSE: 0.00337}}),
        "m=0.9": Arm({}, {"Table 3": {VAL_MSE: 0.00273}}),
        "m=0.99": Arm({"momentum": 0.99}, {"Table 3": {VAL_MSE: 0.00331}}),
    },
    relations=[beats("m=0.9", other, metric) for other in ("m=0", "m=0.99") for metric in RANKED],
    seeds={"quick": 60, "full": 200},
)
