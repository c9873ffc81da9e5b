from labcheck import Arm, Claim, beats, no_worse
from labcheck.labs.trig import RANKED, VAL_MSE, Trig

claim = Claim(
    id="trig/optimizer",
    statement="SGD is slightly better than Adam.",
    citation="report trig, Table 3 and the text below it",
    lab=Trig,
    arms={
        "Adam": Arm({"optimizer": "adam"}, {"Table 3": {VAL_MSE: 0.00287}}),
        "SGD": Arm({}, {"Table 3": {VAL_MSE: 0.00273}}),
    },
    relations=[
        *(beats("SGD", "Adam", metric) for metric in RANKED),
        no_worse("Adam", "SGD", VAL_MSE, margin=0.052),
    ],
    seeds={"quick": 60, "full": 200},
    notes=["Slightly means by at most 5.2 %, the difference of the quoted losses, .00287 and .00273."],
)
