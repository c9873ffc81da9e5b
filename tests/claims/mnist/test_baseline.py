from labcheck import Arm, Claim, consistent_with, has_interior_minimum
from labcheck.labs.mnist import TEST_ACCURACY, TEST_IMAGES, Mnist

claim = Claim(
    id="mnist/baseline",
    statement="The network with two convolutions has an accuracy of 97 % on test digits; its validation loss rises "
    "again late.",
    citation="report boston-mnist, part 2, 97 % in the training of the base version, and the curves of the first "
    "training",
    lab=Mnist,
    arms={"base": Arm({}, {"text": {TEST_ACCURACY: 0.97}})},
    relations=[
        consistent_with("base", 0.97, TEST_ACCURACY, images=TEST_IMAGES),
        has_interior_minimum("base", "val_loss", start=1, by=0.05),
    ],
    seeds={"full": 20},
    notes=[
        "It is judged at full scale only, because a printed accuracy says nothing about the smaller network and "
        "the fewer digits of the quick scale.",
        "The validation loss rises again if it ends more than 5 % above its minimum.",
        "The claim mnist/full-set judges the 99 % on the full set.",
    ],
)
