from labcheck import Arm, Claim, decreases_throughout, has_interior_minimum
from labcheck.labs.curve import Curve

claim = Claim(
    id="curve/epochs",
    statement="With more epochs, the fit gets better and then worse again, while the training error decreases "
    "throughout.",
    citation="report curve-cifar, exercise 1.A, pictures of the fit after 10 to 100,000 epochs; no numbers",
    lab=Curve,
    arms={"f": Arm({"epochs": 100_000})},
    relations=[
        has_interior_minimum("f", "grid_loss", start=10, by=0.1),
        decreases_throughout("f", "train_loss", (10, 50, 100, 200, 1000, 10_000)),
    ],
    seeds={"quick": 20, "full": 240},
    notes=[
        "The fit is compared with the function itself, as in the report, and not with the noisy samples.",
        "All numbers of epochs are points of one training per seed. At quick scale, training ends after 10,000 epochs "
        "and omits the report's 50,000 and 100,000.",
        "Better and worse mean by more than 10 %.",
        "The training error decreases throughout if it is lower after each of 10, 50, 100, 200, 1000 and 10,000 epochs "
        "than after the previous one, and lower still at the end of a longer training.",
    ],
)
