from labcheck.claims import Arm, Claim
from labcheck.labs.trig import VAL_MSE, Trig
from labcheck.relations import beats

claim = Claim(
    id="trig/learning-rate",
    statement="The table has learning rate 0.1 best, the text 0.01.",
    source="report trig, Table 3 and the text below it, which contradict each other",
    lab=Trig,
    arms={
        "lr 1": Arm({"lr": 1.0}, {"Table 3": {VAL_MSE: 0.00351}}),
        "lr 0.1": Arm({}, {"Table 3": {VAL_MSE: 0.00273}}),
        "lr 0.01": Arm({"lr": 0.01}, {"Table 3": {VAL_MSE: 0.00372}}),
    },
    relations=[
        beats("lr 0.1", "lr 1", VAL_MSE, says="table"),
        beats("lr 0.1", "lr 0.01", VAL_MSE, says="table"),
        beats("lr 0.01", "lr 1", VAL_MSE, says="text"),
        beats("lr 0.01", "lr 0.1", VAL_MSE, says="text"),
    ],
    seeds={"quick": 60, "full": 240},
    notes=["Both sentences are judged; they cannot both hold, so the claim as a whole cannot be REPRODUCED."],
)
