from labcheck.claims import Arm, Claim
from labcheck.labs.trig import VAL_MSE, Trig
from labcheck.relations import beats

claim = Claim(
    id="trig/width",
    statement="Of four widths, 10-100-10 is best: more parameters may overfit.",
    source="report trig, Table 2 and the text below it",
    lab=Trig,
    arms={
        "10-50-10": Arm({"hidden": (10, 50, 10)}, {"Table 2": {VAL_MSE: 0.00303}}),
        "10-100-10": Arm({}, {"Table 2": {VAL_MSE: 0.00273}}),
        "50-100-50": Arm({"hidden": (50, 100, 50)}, {"Table 2": {VAL_MSE: 0.00324}}),
        "50-500-50": Arm({"hidden": (50, 500, 50)}, {"Table 2": {VAL_MSE: 0.00325}}),
    },
    relations=[
        beats("10-100-10", "10-50-10", VAL_MSE),
        beats("10-100-10", "50-100-50", VAL_MSE),
        beats("10-100-10", "50-500-50", VAL_MSE),
    ],
    seeds={"quick": 60, "full": 240},
)
