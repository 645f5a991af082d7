"""A trained network as ONNX graphs, which the service runs without PyTorch.

The graphs hold no numbers that were learned: those stand in the bundle once, and whoever runs a graph hands them to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from agents.classifier.features import HEADER_LENGTHS, LEAST_HEADER, MOST_LAPS, PACKETS
from agents.classifier.network import JOINING_TEMPERATURE, DuelingNetwork, Trunk
from agents.classifier.scaler import CLIP
from schemas.classes import N_CLASSES
from schemas.flows import N_FEATURES

OPSET = 17
"""The first with LayerNormalization."""

IR_VERSION = 8
"""Of opset 17's time, so that older runtimes read the graphs as well."""

STEPS = 16
"""Points on the way from the mean flow to a flow at which gradients are taken: for 19 of 20 flows the feature that
comes first is then the one that 256 points put first."""

FEATURES, CLASSES = "features", "classes"
PROBABILITIES, CONTRIBUTIONS = "probabilities", "contributions"
MEAN, SCALE, TEMPERATURE = "mean", "scale", "temperature"

SECOND = "second."
"""Before the names of the numbers of the second trunk."""

Back = Callable[[str], str]
"""From the name of the gradient behind a layer to that of the gradient before it."""


def serving_graph(network: DuelingNetwork) -> bytes:
    """Return the graph from raw features (n, 78) to calibrated probabilities (n, 15)."""
    graph = _Graph()
    states = graph.scaled()
    q_values, _ = graph.joined(network, states, graph.encoded(network, states))
    cool = graph.node("Div", q_values, graph.learned(TEMPERATURE, [1]))
    graph.node("Softmax", cool, name=PROBABILITIES, axis=1)
    return graph.finished([(PROBABILITIES, N_CLASSES)])


def reasons_graph(network: DuelingNetwork) -> bytes:
    """Return the graph from raw features (n, 78) and classes (n,) to the contributions (n, 78) of the features.

    They are integrated gradients (Sundararajan et al., ICML 2017) from the mean flow of the training data to the flow
    itself, of the Q-value of its class less that of the best other one; taken at the middles of so many ``STEPS``. The
    way is straight for what the first layers see, and what a feature's cuts add is the feature's. A trunk counts by its
    share in the probability of the class.
    """
    graph = _Graph()
    graph.inputs.append(helper.make_tensor_value_info(CLASSES, TensorProto.INT64, ["n"]))
    states = graph.scaled()
    encoded = graph.encoded(network, states)
    q_values, each = graph.joined(network, states, encoded)
    direction = graph.direction(q_values)
    trunks = graph.trunks(network, states, encoded)
    shares = graph.shares(each) if len(trunks) > 1 else [graph.constant(np.float32(1))]
    mean = graph.encoded(network, graph.constant(np.zeros((1, N_FEATURES), np.float32)))
    added = []
    for (prefix, trunk, end), share in zip(trunks, shares, strict=True):
        begin = mean if end == encoded else graph.constant(np.zeros((1, N_FEATURES), np.float32))
        way = graph.node("Sub", end, begin)
        middles = ((np.arange(STEPS, dtype=np.float32) + 0.5) / STEPS).reshape(STEPS, 1, 1)
        steps = graph.node("Mul", graph.node("Unsqueeze", way, graph.constant([0])), graph.constant(middles))
        gradient = graph.gradient(prefix, trunk, graph.node("Add", steps, begin), direction)
        step = graph.node("Mul", way, graph.node("Div", share, graph.constant(np.float32(STEPS))))
        added.append(graph.by_feature(network, graph.node("Mul", gradient, step), prefix))
    graph.node("Sum", *added, name=CONTRIBUTIONS)
    return graph.finished([(CONTRIBUTIONS, N_FEATURES)])


class _Graph:
    """Nodes as they are added; every method takes and returns names of values."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.numbers: dict[str, onnx.TensorProto] = {}
        self.inputs = [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", N_FEATURES])]

    def node(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add an operator with one output."""
        return self.outputs(operator, inputs, [name or f"v{len(self.nodes)}"], **attributes)[0]

    def outputs(self, operator: str, inputs: Sequence[str], names: list[str], **attributes: Any) -> list[str]:
        """Add an operator with several outputs."""
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def constant(self, value: object) -> str:
        """Add a number that is not learned."""
        array = np.asarray(value)
        name = f"c{len(self.numbers)}"
        self.numbers[name] = numpy_helper.from_array(array, name)
        return name

    def learned(self, name: str, shape: Sequence[int]) -> str:
        """Add numbers that whoever runs the graph brings along."""
        if name not in self.numbers:
            tensor = onnx.TensorProto(
                name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL
            )
            tensor.external_data.add(key="location", value=name)
            self.numbers[name] = tensor
        return name

    def linear(self, name: str, layer: nn.Linear, values: str) -> str:
        """Add a fully connected layer over the last axis."""
        weight = self.learned(f"{name}.weight", layer.weight.shape)
        bias = self.learned(f"{name}.bias", layer.bias.shape)
        return self.node("Gemm", values, weight, bias, transB=1)

    def unwrapped(self) -> str:
        """Undo overflows of header lengths; see ``features.unwrapped``."""
        columns = [LEAST_HEADER, *HEADER_LENGTHS, *PACKETS]
        taken = self.node("Gather", FEATURES, self.constant(columns), axis=1)
        forward, lengths, packets = self.outputs(
            "Split", [taken, self.constant([1, 3, 3])], ["least", "lengths", "packets"], axis=1
        )
        tcp = self.node("GreaterOrEqual", forward, self.constant(np.float32(20)))
        udp = self.node("GreaterOrEqual", forward, self.constant(np.float32(8)))
        small = self.node("Where", udp, self.constant(np.float32(8)), self.constant(np.float32(0)))
        backward = self.node("Where", tcp, self.constant(np.float32(20)), small)
        least = self.node("Mul", self.node("Concat", forward, forward, backward, axis=1), packets)
        laps = self.node("Div", self.node("Sub", least, lengths), self.constant(np.float32(65536)))
        most = self.constant(np.float32(MOST_LAPS))
        laps = self.node("Clip", self.node("Ceil", laps), self.constant(np.float32(0)), most)
        # One factor of each sum is 65536, the others are 0: the product is exact.
        spread = np.zeros((3, N_FEATURES), np.float32)
        spread[range(3), HEADER_LENGTHS] = 65536
        return self.node("Add", FEATURES, self.node("MatMul", laps, self.constant(spread)))

    def scaled(self) -> str:
        """From raw features to states; see ``scaler.Scaler``."""
        features = self.unwrapped()
        logs = self.node("Log", self.node("Add", self.node("Abs", features), self.constant(np.float32(1))))
        signed = self.node("Mul", logs, self.node("Sign", features))
        centred = self.node("Sub", signed, self.learned(MEAN, [N_FEATURES]))
        scaled = self.node("Div", centred, self.learned(SCALE, [N_FEATURES]))
        return self.node("Clip", scaled, self.constant(np.float32(-CLIP)), self.constant(np.float32(CLIP)))

    def encoded(self, network: DuelingNetwork, states: str) -> str:
        """From states to what the first layer sees; see ``DuelingNetwork.encoded``."""
        if network.cuts is None:
            return states
        ramps = self.linear("cuts", network.cuts, states)
        cut = self.node("Clip", ramps, self.constant(np.float32(0)), self.constant(np.float32(1)))
        return self.node("Concat", states, cut, axis=1)

    def by_feature(self, network: DuelingNetwork, values: str, prefix: str) -> str:
        """Add to the values of features (n, 78) those of their cuts, which stand behind them in the second trunk."""
        if not prefix or network.cuts is None:
            return values
        weight = self.learned("cuts.weight", network.cuts.weight.shape)
        owner = self.node("Cast", self.node("Greater", weight, self.constant(np.float32(0))), to=TensorProto.FLOAT)
        sizes = self.constant([N_FEATURES, network.cuts.out_features])
        plain, cut = self.outputs("Split", [values, sizes], ["plain", "cut"], axis=1)
        return self.node("Add", plain, self.node("MatMul", cut, owner))

    def trunks(self, network: DuelingNetwork, states: str, encoded: str) -> list[tuple[str, Trunk, str]]:
        """Return each trunk with the prefix of its numbers and what it sees."""
        first: list[tuple[str, Trunk, str]] = [("", network, states)]
        return first if network.second is None else [*first, (SECOND, network.second, encoded)]

    def joined(self, network: DuelingNetwork, states: str, encoded: str) -> tuple[str, list[str]]:
        """Return what trunks say together (n, 15), less one number of each flow, and the probabilities of each trunk.

        See ``network.joined``; of one trunk they are its Q-values, and no probabilities.
        """
        found = [self.q_values_of(*one) for one in self.trunks(network, states, encoded)]
        if len(found) == 1:
            return found[0], []
        tau = self.constant(np.float32(JOINING_TEMPERATURE))
        each = [self.node("Softmax", self.node("Div", one, tau), axis=1) for one in found]
        return self.node("Mul", self.node("Log", self.node("Sum", *each)), tau), each

    def shares(self, each: list[str]) -> list[str]:
        """Return the share (n, 1) of each trunk in the probability of the class to explain."""
        ends = self.constant(np.array([0, 1], np.float32))
        chosen = self.node("OneHot", CLASSES, self.constant(N_CLASSES), ends)
        axis = self.constant([1])
        said = [self.node("ReduceSum", self.node("Mul", one, chosen), axis, keepdims=1) for one in each]
        total = self.node("Sum", *said)
        return [self.node("Div", one, total) for one in said]

    def q_values_of(self, prefix: str, trunk: Trunk, inputs: str) -> str:
        """From what a trunk sees to its Q-values."""
        values = inputs
        for name, layer in trunk.body.named_children():
            place = f"{prefix}body.{name}"
            if isinstance(layer, nn.Linear):
                values = self.linear(place, layer, values)
            elif isinstance(layer, nn.LayerNorm):
                shape = layer.weight.shape
                weight, bias = (self.learned(f"{place}.{part}", shape) for part in ("weight", "bias"))
                values = self.node("LayerNormalization", values, weight, bias, axis=-1, epsilon=layer.eps)
            elif isinstance(layer, nn.ReLU):
                values = self.node("Relu", values)
        weight, bias = self.heads(prefix, trunk)
        return self.node("Gemm", values, weight, bias, transB=1)

    def heads(self, prefix: str, trunk: Trunk) -> tuple[str, str]:
        """Return weights and biases of Q(s, a) = V(s) + A(s, a) − mean of A(s, ·): one layer, folded at loading."""
        both = []
        for part in ("weight", "bias"):
            value, advantage = (
                self.learned(f"{prefix}{head}.{part}", getattr(getattr(trunk, head), part).shape)
                for head in ("value", "advantage")
            )
            mean = self.node("ReduceMean", advantage, axes=[0], keepdims=1)
            both.append(self.node("Add", self.node("Sub", advantage, mean), value))
        return both[0], both[1]

    def direction(self, q_values: str) -> str:
        """Return what the contributions are of (n, 15): 1 for the class, -1 for the best other one."""
        depth, ends = self.constant(N_CLASSES), self.constant(np.array([0, 1], np.float32))
        chosen = self.node("OneHot", CLASSES, depth, ends)
        others = self.node("Sub", q_values, self.node("Mul", chosen, self.constant(np.float32(1e6))))
        best = self.node("ArgMax", others, axis=1, keepdims=0)
        return self.node("Sub", chosen, self.node("OneHot", best, depth, ends))

    def gradient(self, prefix: str, trunk: Trunk, points: str, direction: str) -> str:
        """Return the sum over points (steps, n, inputs) of the gradients of ``direction · Q`` (n, inputs)."""
        values, ways_back = points, []
        for name, layer in trunk.body.named_children():
            place = f"{prefix}body.{name}"
            if isinstance(layer, nn.Linear):
                values, back = self.linear_and_back(place, layer, values)
            elif isinstance(layer, nn.LayerNorm):
                values, back = self.norm_and_back(place, layer, values)
            elif isinstance(layer, nn.ReLU):
                values, back = self.relu_and_back(values)
            else:
                continue
            ways_back.append(back)
        weight, _ = self.heads(prefix, trunk)
        gradient = self.node("Unsqueeze", self.node("MatMul", direction, weight), self.constant([0]))
        first, *later = ways_back
        for back in reversed(later):
            gradient = back(gradient)
        # The first layer is linear: the steps may be added up before it.
        return first(self.node("ReduceSum", gradient, self.constant([0]), keepdims=0))

    def linear_and_back(self, place: str, layer: nn.Linear, values: str) -> tuple[str, Back]:
        """Add a fully connected layer to values of any rank, and return its way back."""
        weight = self.learned(f"{place}.weight", layer.weight.shape)
        bias = self.learned(f"{place}.bias", layer.bias.shape)
        product = self.node("MatMul", values, self.node("Transpose", weight, perm=[1, 0]))
        return self.node("Add", product, bias), lambda gradient: self.node("MatMul", gradient, weight)

    def relu_and_back(self, values: str) -> tuple[str, Back]:
        """Add max(x, 0), and return its way back."""
        is_on = self.node("Cast", self.node("Greater", values, self.constant(np.float32(0))), to=TensorProto.FLOAT)
        return self.node("Relu", values), lambda gradient: self.node("Mul", gradient, is_on)

    def norm_and_back(self, place: str, layer: nn.LayerNorm, values: str) -> tuple[str, Back]:
        """Add y = weight · x̂ + bias with x̂ = (x - mean) / σ (Ba et al., 2016), and return its way back.

        With g = weight · dy it is dx = (g - mean(g) - x̂ · mean(g · x̂)) / σ.
        """
        shape = layer.weight.shape
        weight, bias = (self.learned(f"{place}.{part}", shape) for part in ("weight", "bias"))
        centred = self.node("Sub", values, self.node("ReduceMean", values, axes=[-1]))
        variance = self.node("ReduceMean", self.node("Mul", centred, centred), axes=[-1])
        sigma = self.node("Sqrt", self.node("Add", variance, self.constant(np.float32(layer.eps))))
        normal = self.node("Div", centred, sigma)

        def back(gradient: str) -> str:
            weighted = self.node("Mul", gradient, weight)
            along = self.node("ReduceMean", self.node("Mul", weighted, normal), axes=[-1])
            rest = self.node("Sub", weighted, self.node("ReduceMean", weighted, axes=[-1]))
            return self.node("Div", self.node("Sub", rest, self.node("Mul", normal, along)), sigma)

        return self.node("Add", self.node("Mul", normal, weight), bias), back

    def finished(self, outputs: Sequence[tuple[str, int]]) -> bytes:
        """Return the graph with these outputs (n, so many) as bytes; raises ``onnx.checker.ValidationError``."""
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in outputs]
        graph = helper.make_graph(self.nodes, "spanwatch", self.inputs, values, [*self.numbers.values()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        content: bytes = model.SerializeToString()
        return content
