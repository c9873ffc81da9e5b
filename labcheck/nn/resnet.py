"""ResNet-20 for images of 32×32 (He et al. 2016, section 4.2), with shortcuts of option A: 0.27 million parameters."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from labcheck.nn.torch_model import BFloat16, Standardize


class Convolution(nn.Conv2d):
    """A 3×3 convolution without bias, initialized as in He et al. 2015."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__(inputs, outputs, 3, stride, padding=1, bias=False)

    def reset_parameters(self) -> None:
        """Draw the weights from torch's random stream."""
        nn.init.kaiming_normal_(self.weight)


class Classifier(nn.Linear):
    """The last layer, with weights initialized like those of the convolutions and biases like torch's."""

    def reset_parameters(self) -> None:
        """Draw the weights and biases from torch's random stream."""
        super().reset_parameters()
        nn.init.kaiming_normal_(self.weight)


class Block(nn.Module):
    """A residual block: two convolutions whose output is added to the block's input.

    Where the convolutions halve width and height, every second row and column of the input is added. Where they have
    more channels than the input, zeros take the place of the missing channels (option A), so that a shortcut has no
    parameters.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1, self.norm1 = Convolution(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = Convolution(outputs, outputs), nn.BatchNorm2d(outputs)
        self.stride, self.missing = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        h = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        h = self.norm2(self.conv2(h))
        if self.missing:
            x = x[:, :, :: self.stride, :: self.stride]
            x = functional.pad(x, (0, 0, 0, 0, self.missing // 2, self.missing - self.missing // 2))
        return functional.relu(h + x, inplace=True)


class GlobalAveragePool(nn.Module):
    """The mean of each channel over all pixels."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C)."""
        return x.mean((2, 3))


def resnet20(*, standardize: Standardize, bfloat16: bool, width: int = 16) -> nn.Sequential:
    """Build a net that maps images (B, 3, 32, 32) to logits (B, 10).

    Args:
        standardize: The module that standardizes the images.
        bfloat16: Whether convolutions multiply, and blocks add, bfloat16 numbers. Pooling and the classifier are
            float32.
        width: The channels of the first three blocks. The next three have twice, the last three four times as many.
    """
    blocks: OrderedDict[str, nn.Module] = OrderedDict(
        conv=Convolution(3, width), norm=nn.BatchNorm2d(width), relu=nn.ReLU(inplace=True)
    )
    last = width
    for stage, channels in enumerate((width, 2 * width, 4 * width), 1):
        for number in (1, 2, 3):
            blocks[f"block{stage}{number}"] = Block(last, channels, stride=2 if channels > last else 1)
            last = channels
    return nn.Sequential(
        OrderedDict(
            standardize=standardize,
            features=(BFloat16 if bfloat16 else nn.Sequential)(blocks),
            pool=GlobalAveragePool(),
            full=Classifier(last, 10),
        )
    )
