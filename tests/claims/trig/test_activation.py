from labcheck.claims import Arm, Claim
from labcheck.labs.trig import VAL_MSE, Trig
from labcheck.relations import beats

claim = Claim(
    id="trig/activation",
    statement="ReLU is the best activation, Tanh the worst.",
    source="report trig, Table 2 and the text below it",
    lab=Trig,
    arms={
        "Sigmoid": Arm({"activation": "sigmoid"}, {"Table 2": {VAL_MSE: 0.00297}}),
        "Tanh": Arm({"activation": "tanh"}, {"Table 2": {VAL_MSE: 0.01236}}),
        "ReLU": Arm({}, {"Table 2": {VAL_MSE: 0.00273}}),
    },
    relations=[
        beats("ReLU", "Tanh", VAL_MSE),
        beats("ReLU", "Sigmoid", VAL_MSE),
        beats("Sigmoid", "Tanh", VAL_MSE),
    ],
    seeds={"quick": 60, "full": 240},
)
