from labcheck.claims import Arm, Claim
from labcheck.labs.trig import VAL_MSE, Trig
from labcheck.relations import beats, no_worse

claim = Claim(
    id="trig/depth",
    statement="Five layers are best; past five the loss gets slightly worse.",
    source="report trig, Table 2 and the text below it",
    lab=Trig,
    arms={
        "depth 3": Arm({"hidden": (10,)}, {"Table 2": {VAL_MSE: 0.00470}}),
        "depth 5": Arm({}, {"Table 2": {VAL_MSE: 0.00273}}),
        "depth 7": Arm({"hidden": (10, 100, 200, 100, 10)}, {"Table 2": {VAL_MSE: 0.00313}}),
        "depth 9": Arm({"hidden": (10, 100, 200, 800, 200, 100, 10)}, {"Table 2": {VAL_MSE: 0.00330}}),
    },
    relations=[
        beats("depth 5", "depth 3", VAL_MSE),
        beats("depth 5", "depth 7", VAL_MSE),
        beats("depth 5", "depth 9", VAL_MSE),
        no_worse("depth 7", "depth 5", VAL_MSE, margin=0.5),
        no_worse("depth 9", "depth 5", VAL_MSE, margin=0.5),
    ],
    seeds={"quick": 60, "full": 240},
    notes=["Slightly worse is at most by half; the quoted losses are 15 and 21 % higher."],
)
