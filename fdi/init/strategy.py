"""What an initialization is: the interface between strategies and those who use them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Generator

    from fdi.snn.activity import Activity
    from fdi.snn.network import Network
    from fdi.snn.population import Population
    from fdi.snn.projection import Projection

Rates = dict[str, float]
Afferents = Sequence["Projection"]
Measure = Callable[["Network"], "Activity"]


def obeys_dale(afferents: Afferents) -> bool:
    """Whether Dale's law forbids weights of both signs in any of these projections."""
    return any(projection.nonnegative for projection in afferents)


class Strategy(ABC):
    """Fills the weights of a network, layer by layer from the input up.

    `nu`: which rates the sources are taken to fire at, see fdi.init.draw; None if it does not
    matter. `baseline`: is it one of those that fluctuation-driven initialization is compared with?
    A strategy works on every architecture or refuses with a ValueError of one sentence. One of your
    own inherits from this class, and needs `draw` alone.
    """

    nu: Any = None
    baseline: ClassVar[bool] = False

    @abstractmethod
    def draw(
        self,
        population: Population,
        afferents: Afferents,
        rates: Rates,
        dt: float,
        generator: Generator,
    ) -> None:
        """Fill the weights of all `afferents` of `population`.

        `rates`: what the targets see of each source, behind its pooling, in Hz by the name of the
        projection; `dt` in s.
        """

    def target(self, population: Population) -> tuple[float | None, float | None]:
        """The mean and spread of the free potential that it aims at; None for what it does not aim
        at.
        """
        return None, None

    def correct(self, network: Network, measure: Measure, analogue: bool) -> None:  # noqa: B027
        """Mend the last layer of `network` by measuring it; `analogue`: it hears an analogue
        input.
        """
