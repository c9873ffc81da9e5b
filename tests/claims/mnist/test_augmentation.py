from labcheck import Arm, Claim, beats
from labcheck.labs.mnist import TEST_ACCURACY, Mnist

claim = Claim(
    id="mnist/augmentation",
    statement="Augmentation with rotations by up to 10°, shifts by up to a tenth and changes of brightness is harmful.",
    citation="report boston-mnist, part 2, description of the model: it seemed entirely counterproductive; no numbers",
    lab=Mnist,
    arms={"without": Arm({"augmented": False}), "with": Arm({"augmented": True})},
    relations=[beats("without", "with", TEST_ACCURACY)],
    seeds={"quick": 16, "full": 16},
    comparable=["full"],
)
