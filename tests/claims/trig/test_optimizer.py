from labcheck.claims import Arm, Claim
from labcheck.labs.trig import VAL_MSE, Trig
from labcheck.relations import beats, no_worse

claim = Claim(
    id="trig/optimizer",
    statement="SGD is slightly better than Adam.",
    source="report trig, Table 3 and the text below it",
    lab=Trig,
    arms={
        "Adam": Arm({"optimizer": "adam"}, {"Table 3": {VAL_MSE: 0.00287}}),
        "SGD": Arm({}, {"Table 3": {VAL_MSE: 0.00273}}),
    },
    relations=[
        beats("SGD", "Adam", VAL_MSE),
        no_worse("Adam", "SGD", VAL_MSE, margin=0.5),
    ],
    seeds={"quick": 60, "full": 240},
    notes=["Slightly is at most by half; the quoted loss of Adam is 5 % higher."],
)
