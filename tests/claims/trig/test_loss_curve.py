from labcheck import Arm, Claim, beats, geometric_mean, mean_rebound, settles, stays_worse_than
from labcheck.labs.trig import Trig

claim = Claim(
    id="trig/loss-curve",
    statement="The losses oscillate widely at first, the validation loss is above the training loss, and both have "
    "settled after 100 epochs.",
    citation="report trig, section 5, Fig. 5 and the text below it",
    lab=Trig,
    arms={"base": Arm({"train_curve": True})},
    relations=[
        stays_worse_than("base", 0.1, mean_rebound("train_loss", 0, 50, rising=False)),
        stays_worse_than("base", 0.1, mean_rebound("val_loss", 0, 50, rising=False)),
        beats(
            "base", "base", geometric_mean("train_loss", rising=False), other=geometric_mean("val_loss", rising=False)
        ),
        settles("base", "train_loss", start=100, below=0.1, rising=False),
        settles("base", "val_loss", start=100, below=0.1, rising=False),
    ],
    seeds={"quick": 60, "full": 200},
    notes=[
        "A loss oscillates widely if it rebounds by more than 10 % per epoch on average, and has settled otherwise.",
        "A run that stops before epoch 100 because of its learning rate does not show whether it would have settled.",
        "In the report's own log, the validation loss is below the training loss in 7 of 13 rows.",
    ],
)
