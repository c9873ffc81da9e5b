from labcheck import Arm, Claim, beats, epochs_to, takes_about_times
from labcheck.labs.curve import GRID_MSE, Curve

EPOCHS_TO_TARGET = epochs_to("grid_loss", below=5.76)  # a tenth of the variance of f on [-5, 5), 57.6

claim = Claim(
    id="curve/learning-rate",
    statement="The smaller the learning rate, the better the fit after 1000 epochs; a tenth of the rate takes about "
    "ten times the steps.",
    citation="report curve-cifar, exercise 1.B, pictures; no numbers",
    lab=Curve,
    arms={f"lr {lr:g}": Arm({"epochs": 1000, "lr": lr}) for lr in (1.0, 0.1, 0.01, 0.001)},
    relations=[
        beats("lr 0.1", "lr 1", GRID_MSE),
        beats("lr 0.01", "lr 0.1", GRID_MSE),
        beats("lr 0.001", "lr 0.01", GRID_MSE),
        takes_about_times("lr 0.1", "lr 1", EPOCHS_TO_TARGET, 10, within=2),
        takes_about_times("lr 0.01", "lr 0.1", EPOCHS_TO_TARGET, 10, within=2),
        takes_about_times("lr 0.001", "lr 0.01", EPOCHS_TO_TARGET, 10, within=2),
    ],
    seeds={"quick": 60, "full": 240},
    notes=[
        "Steps are counted until the network fits, that is, until its error with respect to the function is a tenth of "
        "the function's variance, as in sine/activation. Training uses the full batch, so an epoch is one step.",
        "About ten times means 5 to 20 times.",
    ],
)
