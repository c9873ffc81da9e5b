from labcheck import Arm, Claim, beats, oscillates
from labcheck.labs.trig import RANKED, VAL_MSE, Trig

STEPS = {"max_epochs": 121, "stop_lr": 0.0}  # all arms make as many steps as the report's run, whatever their rate

claim = Claim(
    id="trig/schedule",
    statement="A constant rate of 0.1 does not converge, a drop every 10 epochs converges insufficiently, "
    "a drop on a plateau is best.",
    citation="report trig, Table 3 and the text below it",
    lab=Trig,
    arms={
        "constant": Arm({**STEPS, "schedule": "constant"}),
        "step": Arm({**STEPS, "schedule": "step"}, {"Table 3": {VAL_MSE: 0.19203}}),
        "plateau": Arm(STEPS, {"Table 3": {VAL_MSE: 0.00273}}),
    },
    relations=[
        oscillates("constant", "val_loss", last=50, above=0.1, rising=False),
        *(beats("plateau", other, metric) for other in ("step", "constant") for metric in RANKED),
    ],
    seeds={"quick": 40, "full": 200},
    notes=[
        "Unsettled is a validation loss that climbs back by more than 10 % an epoch, averaged over the last 50.",
        "The report prints a dash for the constant rate.",
    ],
)
