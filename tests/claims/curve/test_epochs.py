from labcheck.claims import Arm, Claim
from labcheck.labs.curve import Curve
from labcheck.relations import turns

claim = Claim(
    id="curve/epochs",
    statement="With more epochs the fit gets better and then worse again: it is best at some number in between.",
    source="report curve-cifar, exercise 1.A; pictures of the fit after 10 to 100,000 epochs, no numbers",
    lab=Curve,
    arms={"f": Arm({"epochs": 100_000})},
    relations=[turns("f", "grid_loss", start=10, stop=100_000, by=0.1)],
    seeds={"quick": 60, "full": 240},
    notes=[
        "The fit is judged against the function itself, as the report does, and not against the noisy samples.",
        "All numbers of epochs are read off one training of each seed.",
        "Better and worse is by more than 10 %.",
    ],
)
