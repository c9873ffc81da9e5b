from labcheck import Arm, Claim, beats, epochs_to
from labcheck.labs.trig import VAL_MSE, Trig

EPOCHS_TO_TARGET = epochs_to("val_loss", below=0.01)  # 99 % of the variance explained

claim = Claim(
    id="trig/norm-and-init",
    statement="BatchNorm and weight initialization each lower the validation loss considerably and make convergence "
    "faster; with Xavier initialization the loss is lowest.",
    citation="report trig, Table 1",
    lab=Trig,
    arms={
        "none": Arm({"norm": False, "init": "default"}, {"Table 1": {VAL_MSE: 1.07809}}),
        "norm": Arm({"init": "default"}, {"Table 1": {VAL_MSE: 0.30706}}),
        "norm+kaiming": Arm({"init": "kaiming_normal"}, {"Table 1": {VAL_MSE: 0.15392}}),
        "norm+xavier": Arm({}, {"Table 1": {VAL_MSE: 0.00273}}),
    },
    relations=[
        beats("norm+xavier", "none", VAL_MSE),
        beats("norm", "none", VAL_MSE),
        beats("norm+kaiming", "norm", VAL_MSE),
        beats("norm+xavier", "norm", VAL_MSE),
        beats("norm+xavier", "norm+kaiming", VAL_MSE),
        beats("norm", "none", EPOCHS_TO_TARGET),
        beats("norm+xavier", "norm", EPOCHS_TO_TARGET),
    ],
    seeds={"quick": 60, "full": 200},
    notes=["Convergence is faster if fewer epochs reach a validation loss of .01, 1 % of the variance of y."],
)
