from labcheck import Arm, Claim, Metric, beats
from labcheck.labs.trig import RANKED, VAL_MSE, Trig

GAP = Metric("gap", higher_is_better=False, ratio=False)

claim = Claim(
    id="trig/width",
    statement="Among four widths, 10-100-10 is best, since wider networks overfit.",
    citation="report trig, Table 2 and the text below it",
    lab=Trig,
    arms={
        "10-50-10": Arm({"hidden": (10, 50, 10)}, {"Table 2": {VAL_MSE: 0.00303}}),
        "10-100-10": Arm({}, {"Table 2": {VAL_MSE: 0.00273}}),
        "50-100-50": Arm({"hidden": (50, 100, 50)}, {"Table 2": {VAL_MSE: 0.00324}}),
        "50-500-50": Arm({"hidden": (50, 500, 50)}, {"Table 2": {VAL_MSE: 0.00325}}),
    },
    relations=[
        *(beats("10-100-10", other, metric) for other in ("10-50-10", "50-100-50", "50-500-50") for metric in RANKED),
        *(beats("10-100-10", other, GAP) for other in ("50-100-50", "50-500-50")),
    ],
    seeds={"quick": 20, "full": 200},
    notes=["A network overfits more than another one if its validation error exceeds its training error by more."],
)
