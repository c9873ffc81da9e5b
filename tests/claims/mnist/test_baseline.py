from labcheck.claims import Arm, Claim
from labcheck.labs.mnist import TEST_ACCURACY, Mnist
from labcheck.relations import reaches, turns

claim = Claim(
    id="mnist/baseline",
    statement="The net with two convolutions reaches 97 % on test digits; its validation loss rises again.",
    source="report boston-mnist, part 2: 97 % when the base version was trained; the curves of the first training",
    lab=Mnist,
    arms={"base": Arm({}, {"text": {TEST_ACCURACY: 0.97}})},
    relations=[reaches("base", 0.97, TEST_ACCURACY), turns("base", "val_loss", start=1, stop=16, by=0.05)],
    seeds={"quick": 8, "full": 16},
    notes=["The validation loss rises again when it ends more than 5 % above its lowest."],
)
