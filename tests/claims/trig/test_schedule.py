from labcheck import Arm, Claim, beats, oscillates
from labcheck.labs.trig import RANKED, VAL_MSE, Trig

STEPS_OF_REPORT = {"max_epochs": 121, "stop_lr": 0.0}  # the same number for all arms, whatever their rate

claim = Claim(
    id="trig/schedule",
    statement="A constant rate of 0.1 does not converge, a drop every 10 epochs converges insufficiently, and a drop "
    "on a plateau is best.",
    citation="report trig, Table 3 and the text below it",
    lab=Trig,
    arms={
        "constant": Arm({**STEPS_OF_REPORT, "schedule": "constant"}),
        "step": Arm({**STEPS_OF_REPORT, "schedule": "step"}, {"Table 3": {VAL_MSE: 0.19203}}),
        "plateau": Arm(STEPS_OF_REPORT, {"Table 3": {VAL_MSE: 0.00273}}),
    },
    relations=[
        oscillates("constant", "val_loss", last=50, above=0.1, rising=False),
        *(beats("plateau", other, metric) for other in ("step", "constant") for metric in RANKED),
    ],
    seeds={"quick": 60, "full": 200},
    notes=[
        "A rate does not converge if the validation loss rebounds by more than 10 % per epoch on average over the last "
        "50 epochs.",
        "The report prints a dash for the constant rate.",
    ],
)
