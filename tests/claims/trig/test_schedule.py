from labcheck.claims import Arm, Claim
from labcheck.labs.trig import VAL_MSE, Trig
from labcheck.relations import beats, unsettled

claim = Claim(
    id="trig/schedule",
    statement="A constant rate of 0.1 does not converge, a drop every 10 epochs converges insufficiently, "
    "a drop on a plateau is best.",
    source="report trig, Table 3 and the text below it",
    lab=Trig,
    arms={
        "constant": Arm({"schedule": "constant"}),
        "step": Arm({"schedule": "step"}, {"Table 3": {VAL_MSE: 0.19203}}),
        "plateau": Arm({}, {"Table 3": {VAL_MSE: 0.00273}}),
    },
    relations=[
        unsettled("constant", "val_loss", last=50, above=0.1),
        beats("plateau", "step", VAL_MSE),
        beats("plateau", "constant", VAL_MSE),
    ],
    seeds={"quick": 60, "full": 240},
    notes=[
        "Unsettled is a validation loss that climbs back by more than 10 % an epoch, averaged over the last 50.",
        "The report prints a dash for the constant rate.",
    ],
)
