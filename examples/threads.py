"""Three networks of people who asked in public why theirs does not learn, rebuilt small on the
8 x 8 digits of scikit-learn, each in its own library and its own training loop: what fdi.recipe
answers them.

    pip install "fdi-snn[data]" snntorch norse spikingjelly
    python examples/threads.py snntorch

From the threads: kind and order of the layers, neurons and their constants, loss, optimizer, step.
Ours: the data, fewer channels, no dropout, and what a thread leaves unsaid.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.optim import Optimizer

import fdi

SAMPLES, BATCH, EPOCHS = 1000, 25, 10
Trial = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
Question = tuple[nn.Module, Trial, Loss, Optimizer, list[tuple[Tensor, Tensor]]]


def digits(steps: int) -> list[tuple[Tensor, Tensor]]:
    """Batches of grey values as Bernoulli spikes, [T, B, 1, 8, 8]; as they are for one step."""
    found = load_digits()
    grey = torch.tensor(found.images[:SAMPLES] / 16).float().unsqueeze(1)
    inputs = (torch.rand(steps, *grey.shape) < grey).float() if steps > 1 else grey.unsqueeze(0)
    labels = torch.tensor(found.target[:SAMPLES]).long()
    return [*zip(inputs.split(BATCH, 1), labels.split(BATCH))]


def snntorch() -> Question:
    """https://github.com/jeshraghian/snntorch/issues/33: two convolutions and a dense layer of
    Synaptic neurons with alpha 0.7 and beta 0.8, rate-coded images, 25 steps; the loss goes up and
    down a little.
    """
    import snntorch
    from snntorch import utils

    def neuron(**given: bool) -> nn.Module:
        return snntorch.Synaptic(alpha=0.7, beta=0.8, init_hidden=True, **given)

    network = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.MaxPool2d(2), neuron()),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.MaxPool2d(2), neuron()),
        *(nn.Flatten(), nn.Linear(32 * 2 * 2, 10), neuron(output=True)),
    )

    def trial(spikes: Tensor) -> Tensor:
        """The potential of each output, averaged over time."""
        utils.reset(network)
        return torch.stack([network(step)[2] for step in spikes]).mean(0)

    adam = torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.9, 0.999))
    return network, trial, nn.functional.cross_entropy, adam, digits(25)


def spikingjelly() -> Question:
    """https://github.com/fangwei123456/spikingjelly/issues/216: convolutions with batch
    normalization, two dense layers, LIF neurons with tau = 2 steps, ten outputs a class; the loss
    is the mean-square error of rates, SGD has lr = 1e-4 and momentum 0.9. The loss stays at
    1 / classes.
    """
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def lif() -> nn.Module:
        return neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan(), detach_reset=True)

    def block(n: int, m: int) -> tuple[nn.Module, ...]:
        convolution = layer.Conv2d(n, m, 3, padding=1, bias=False)
        return convolution, layer.BatchNorm2d(m), lif(), layer.MaxPool2d(2, 2)

    network = nn.Sequential(
        *(*block(1, 16), *block(16, 16), layer.Flatten()),
        *(layer.Linear(16 * 2 * 2, 128), lif(), layer.Linear(128, 100), lif()),
        layer.VotingLayer(10),
    )
    functional.set_step_mode(network, "m")

    def trial(spikes: Tensor) -> Tensor:
        """The rate of each class."""
        functional.reset_net(network)
        return network(spikes).mean(0)

    def loss(rates: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.mse_loss(rates, nn.functional.one_hot(labels, 10).float())

    sgd = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    return network, trial, loss, sgd, digits(20)


def norse() -> Question:
    """https://github.com/norse/norse/issues/140: the library's own task, four convolutions of LIF
    neurons without bias and a leaky integrator that is read by its largest potential, on images
    that are held; Adam, lr = 2e-3. The loss stays where it was.
    """
    from norse.torch import LICell, LIFCell, LIFParameters, SequentialState

    p = LIFParameters(v_th=torch.as_tensor(1.0))

    def block(n: int, m: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(n, m, 3, padding=1, bias=False), LIFCell(p)

    network = SequentialState(
        *block(1, 16),
        *(*block(16, 32), nn.MaxPool2d(2)),
        *(*block(32, 32), nn.MaxPool2d(2)),
        *(*block(32, 32), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32, 10, bias=False), LICell()),
    )

    def trial(images: Tensor) -> Tensor:
        """The largest potential of each readout in 32 steps."""
        state, trace = None, []
        for _ in range(32):
            potential, state = network(images[0], state)
            trace.append(potential)
        return torch.stack(trace).amax(0)

    adam = torch.optim.Adam(network.parameters(), lr=2e-3, weight_decay=1e-5)
    return network, trial, nn.functional.cross_entropy, adam, digits(1)


def main(name: str) -> fdi.Recipe:
    torch.manual_seed(0)
    network, trial, loss, optimizer, data = QUESTIONS[name]()
    given = {"simulate": trial, "optimizer": optimizer, "loss": loss, "dt": 1e-3}
    found = fdi.recipe(network, data, epochs=EPOCHS, **given)
    print(found)
    return found


QUESTIONS = {ask.__name__: ask for ask in (snntorch, spikingjelly, norse)}

if __name__ == "__main__":
    main(sys.argv[1])
