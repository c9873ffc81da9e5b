from labcheck import Arm, Claim, beats
from labcheck.labs.mnist import TEST_ACCURACY, Mnist

claim = Claim(
    id="mnist/augmentation",
    statement="Turning digits by up to 10°, shifting them by up to a tenth and changing their brightness hurts.",
    citation="report boston-mnist, part 2, the model's description: it seemed entirely counterproductive; no numbers",
    lab=Mnist,
    arms={"without": Arm({"augmented": False}), "with": Arm({"augmented": True})},
    relations=[beats("without", "with", TEST_ACCURACY)],
    seeds={"quick": 8, "full": 16},
)
