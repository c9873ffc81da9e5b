from labcheck import Arm, Claim, beats, improves_more
from labcheck.labs.trig import RANKED, VAL_MSE, Trig

claim = Claim(
    id="trig/input-powers",
    statement="Inputs x and x² are better than x alone or more powers, and are the largest improvement in Table 2.",
    citation="report trig, Table 2 and the text below it, which the table contradicts: depth 3, Tanh and others lose "
    "more",
    lab=Trig,
    arms={
        "p=1": Arm({"powers": 1}, {"Table 2": {VAL_MSE: 0.00316}}),
        "p=2": Arm({}, {"Table 2": {VAL_MSE: 0.00273}}),
        "p=3": Arm({"powers": 3}, {"Table 2": {VAL_MSE: 0.00324}}),
        "p=4": Arm({"powers": 4}, {"Table 2": {VAL_MSE: 0.00288}}),
        "depth 3": Arm({"hidden": (10,)}, {"Table 2": {VAL_MSE: 0.00470}}),
        "Tanh": Arm({"activation": "tanh"}, {"Table 2": {VAL_MSE: 0.01236}}),
    },
    relations=[
        *(beats("p=2", f"p={other}", metric) for other in (1, 3, 4) for metric in RANKED),
        improves_more(("p=2", "p=1"), ("p=2", "depth 3"), VAL_MSE, label="text"),
        improves_more(("p=2", "p=1"), ("p=2", "Tanh"), VAL_MSE, label="text"),
    ],
    seeds={"quick": 60, "full": 200},
)
