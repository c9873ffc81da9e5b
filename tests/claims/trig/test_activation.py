from labcheck import Arm, Claim, beats
from labcheck.labs.trig import RANKED, VAL_MSE, Trig

claim = Claim(
    id="trig/activation",
    statement="ReLU is the best activation and Tanh the worst.",
    citation="report trig, Table 2 and the text below it",
    lab=Trig,
    arms={
        "Sigmoid": Arm({"activation": "sigmoid"}, {"Table 2": {VAL_MSE: 0.00297}}),
        "Tanh": Arm({"activation": "tanh"}, {"Table 2": {VAL_MSE: 0.01236}}),
        "ReLU": Arm({}, {"Table 2": {VAL_MSE: 0.00273}}),
    },
    relations=[
        beats(better, worse, metric)
        for better, worse in (("ReLU", "Tanh"), ("ReLU", "Sigmoid"), ("Sigmoid", "Tanh"))
        for metric in RANKED
    ],
    seeds={"quick": 60, "full": 200},
    notes=[
        "Validation errors on the report's split have a floor near .003, where most printed ones are, so arms are also "
        "ranked by the error on the function itself and by the training error.",
    ],
)
