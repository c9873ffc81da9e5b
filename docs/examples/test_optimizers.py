"""Claims about scikit-learn's MLPClassifier: which way of training ends with the lowest loss?"""

import warnings

from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler

from labcheck import Arm, Claim, beats, error, lab

DATA = {"digits": load_digits, "iris": load_iris}


@lab("mlp", data="sklearn")
def train(
    seed,
    *,
    data_set="digits",
    epochs=15,
    solver="sgd",
    learning_rate="constant",
    momentum=0.0,
    nesterovs_momentum=True,
    learning_rate_init=0.2,
):
    x, y = DATA[data_set](return_X_y=True)
    x = MinMaxScaler().fit_transform(x)
    model = MLPClassifier(
        solver=solver,
        learning_rate=learning_rate,
        momentum=momentum,
        nesterovs_momentum=nesterovs_momentum,
        learning_rate_init=learning_rate_init,
        max_iter=epochs,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
    return {"final_loss": model.loss_, "accuracy": model.score(x, y), "loss": model.loss_curve_}


OTHERS = {
    "constant": {},
    "constant, momentum": {"momentum": 0.9, "nesterovs_momentum": False},
    "constant, Nesterov": {"momentum": 0.9},
    "inverse scaling": {"learning_rate": "invscaling"},
    "inverse scaling, momentum": {"learning_rate": "invscaling", "momentum": 0.9},
    "inverse scaling, Nesterov": {"learning_rate": "invscaling", "momentum": 0.9, "nesterovs_momentum": False},
}


def adam_is_best(data_set, epochs):
    common = {"data_set": data_set, "epochs": epochs}
    adam = {"solver": "adam", "learning_rate_init": 0.01}
    return Claim(
        statement=f"On {data_set}, Adam ends with a lower loss than SGD with any schedule and momentum.",
        lab=train,
        arms={name: Arm({**common, **settings}) for name, settings in {**OTHERS, "Adam": adam}.items()},
        relations=[beats("Adam", other, error("final_loss")) for other in OTHERS],
        seeds={"quick": 20},
    )


on_digits = adam_is_best("digits", epochs=15)
on_iris = adam_is_best("iris", epochs=400)
