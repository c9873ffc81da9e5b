from labcheck import Arm, Claim, Metric, beats, no_worse
from labcheck.labs.trig import RANKED, VAL_MSE, Trig

FIRST_GRADIENT = Metric("first_gradient", higher_is_better=True)

claim = Claim(
    id="trig/depth",
    statement="Five layers are best; with more than five the loss gets slightly worse, since gradients vanish.",
    citation="report trig, Table 2 and the text below it",
    lab=Trig,
    arms={
        "depth 3": Arm({"hidden": (10,)}, {"Table 2": {VAL_MSE: 0.00470}}),
        "depth 5": Arm({}, {"Table 2": {VAL_MSE: 0.00273}}),
        "depth 7": Arm({"hidden": (10, 100, 200, 100, 10)}, {"Table 2": {VAL_MSE: 0.00313}}),
        "depth 9": Arm({"hidden": (10, 100, 200, 800, 200, 100, 10)}, {"Table 2": {VAL_MSE: 0.00330}}),
    },
    relations=[
        *(beats("depth 5", f"depth {other}", metric) for other in (3, 7, 9) for metric in RANKED),
        *(no_worse(f"depth {other}", "depth 5", VAL_MSE, margin=0.5) for other in (7, 9)),
        *(beats("depth 5", f"depth {other}", FIRST_GRADIENT) for other in (7, 9)),
    ],
    seeds={"quick": 20, "full": 200},
    notes=[
        "Slightly worse means by at most half; the quoted losses are 15 and 21 % higher.",
        "Gradients vanish if the gradient of the loss with respect to the first weights, before training, is smaller "
        "in a deeper network.",
    ],
)
