"""How the rows of a segment exchange what they hold: one variant a file, all behind `Mixer`.

astromorphic   linear time; write and read of an astrocyte          RMAAT, AT
linear         linear time; normalised by the sum of its weights    Linear Transformer, RLT
softmax        every row against every row                          Transformer, RMT
retnet         linear time; exponential decay with distance         RetNet
state_space    linear time; diagonal state space                    S4D
"""

from rmaat.attention.astromorphic import astromorphic, astromorphic_reference
from rmaat.attention.features import feature_map
from rmaat.attention.layer import AstromorphicAttention, ShortTerm
from rmaat.attention.linear import LinearAttention, linear_attention, linear_reference
from rmaat.attention.mixer import Mixer
from rmaat.attention.position import RelativePosition
from rmaat.attention.retnet import RetNetAttention
from rmaat.attention.rule import Rule
from rmaat.attention.softmax import SoftmaxAttention, softmax_reference
from rmaat.attention.state_space import DiagonalStateSpace

__all__ = [
    "AstromorphicAttention",
    "DiagonalStateSpace",
    "LinearAttention",
    "Mixer",
    "RelativePosition",
    "RetNetAttention",
    "Rule",
    "ShortTerm",
    "SoftmaxAttention",
    "astromorphic",
    "astromorphic_reference",
    "feature_map",
    "linear_attention",
    "linear_reference",
    "softmax_reference",
]
