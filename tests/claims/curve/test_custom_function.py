from labcheck import Arm, Claim, beats, value_at
from labcheck.labs.curve import Curve

claim = Claim(
    id="curve/custom-function",
    statement="A function of one's own choice is fitted best after 3500 epochs with a learning rate of 0.001.",
    citation="report curve-cifar, exercise 1.C, after a comparison of 200 to 4000 epochs",
    lab=Curve,
    arms={name: Arm({"function": name, "epochs": 4000, "lr": 0.001}) for name in ("g", "g as printed")},
    relations=[
        beats(name, name, value_at("grid_loss", 3500, rising=False), other=value_at("grid_loss", epochs, rising=False))
        for name in ("g", "g as printed")
        for epochs in (200, 500, 1000, 2000, 3000, 4000)
    ],
    seeds={"quick": 60, "full": 240},
    notes=[
        "The error is that with respect to the function itself. All numbers of epochs are points of one training.",
        "The report's script has x² + x + 1 where the report prints (x + 1)²; both are judged.",
    ],
)
