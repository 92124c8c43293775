"""The nets of stage ``inside``: what lies between lips, in layers that are each where they are in the head.

Pictures of mouths disagree on where a gap between two teeth is, and a net that is asked for colours answers with their
mean, a smear. So what is learnt of teeth is where their edges are: the mean of edges is an edge. A row of teeth is
drawn from these; upper teeth stay with the head, lower ones with the jaw, and the lips lay them bare. A small net
says how much light falls on each row between lips of this shape, and what is seen behind them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.mouthbank.inside.row import LOWER_TEETH, UPPER_TEETH, Row, drawn

DARKEST = 0.05  # least level of skin or lips: in the dark there is nothing to paint by
GREY = (0.114, 0.587, 0.299)  # of BGR
SKIN = (0.76, 0.93, 1.23)  # of its grey level, in white light
CAST = 0.4  # of what skin differs from that is the light's colour, which teeth have as well; the rest is its own
LIGHT_PX = 32  # pixels a side of the picture that the light is found in
REACH = 0.3  # mouth widths that count as one for it
SHARP = 0.01  # mouth widths, sigma of the edges of what ships
FLESH = (0.78, 0.74, 1.08)  # what is behind the teeth is redder than the lips; BGR
LIGHT, BEHIND = (0.35, 1.15), (0.05, 0.7)  # of the teeth's own, the lips' own: what is as bright as teeth is no tongue
STEP = 0.2  # mouth widths that count as one where a frame's rows are moved: few batches show it
OWN, MOVES = 6, 4  # values of a person: across, down of both rows, width, brightness, softness; and of a frame
SOFT = 0.03  # sigma of the edges of the film that is learnt from, before it is known


@dataclass(frozen=True)
class Shape:
    """What fixes the nets beside their weights."""

    size: int = 96  # pixels a side; what is learnt holds for any
    width: int = 16  # channels of the net that knows the light
    people: int = 1  # cameras that filmed one person each
    frames: int = 1  # that are learnt from


@dataclass(frozen=True)
class Own:
    """What a mouth has of its own (n, 1, 1, 1), beside what all have; nothing, in what ships."""

    across: Tensor | float = 0.0  # (n, 2, 1, 1) mouth widths that the upper and the lower row stand elsewhere
    down: Tensor | float = 0.0
    width: Tensor | float = 1.0
    bright: Tensor | float = 1.0
    soft: Tensor | float = SHARP


class InsideNet(nn.Module):
    """``image`` (n, 3, size, size) BGR 0..1, drawn, ``drawing`` (n, 2, size, size), what outer and inner lips enclose,
    and ``jaws`` (n, 2, 4), pixels of the crop: for the upper and the lower row where the middle of its edge would be, x
    and y, and a mouth width across and down there.

    To what is to be painted between the lips (n, 3, size, size), 0..1. Of the picture only the colours of skin and lips
    are used.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.upper, self.lower = Row(UPPER_TEETH, 0.05), Row(LOWER_TEETH, 0.02)
        self.light = _Light(shape.width, shape.size // LIGHT_PX)
        self.enamel = nn.Parameter(torch.tensor([1.0, 1.15, 1.2]))  # of the skin's grey level
        self.register_buffer("flesh", torch.tensor(FLESH)[:, None, None])
        self.register_buffer("at", torch.arange(shape.size, dtype=torch.float32))

    def forward(self, image: Tensor, drawing: Tensor, jaws: Tensor, own: Own | None = None) -> Tensor:
        own = own or Own()
        across, down = _places(self.at, jaws)
        light = self.light(drawing, across, down)
        skin, lips = levels_of(image, drawing)
        towards = (down - own.down) * down.new_tensor([1.0, -1.0])[:, None, None]
        cover, shade = drawn((self.upper, self.lower), (across - own.across) / own.width, towards, own.soft)
        bare, teeth = 1 - cover, cover * shade * light[:, :2]  # the lower row first, the upper one over it
        teeth = teeth[:, :1] + bare[:, :1] * teeth[:, 1:]
        behind = bare[:, :1] * bare[:, 1:] * light[:, 2:]
        return (self.teeth_of(skin) * own.bright * teeth + lips * self.flesh * behind).clamp(0, 1)

    def behind(self, image: Tensor, drawing: Tensor, jaws: Tensor) -> Tensor:
        """What would be painted if there were no teeth."""
        light = self.light(drawing, *_places(self.at, jaws))
        return levels_of(image, drawing)[1] * self.flesh * light[:, 2:]

    def teeth_of(self, skin: Tensor) -> Tensor:
        """The colour (n, 3, 1, 1) of teeth in the light in which skin has this one."""
        grey = grey_of(skin)
        return grey * self.enamel[:, None, None] + CAST * (skin - grey * skin.new_tensor(SKIN)[:, None, None])


def grey_of(colours: Tensor) -> Tensor:
    """The grey level (n, 1, ...) of colours (n, 3, ...)."""
    return (colours * colours.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)


def in_white_light(image: Tensor, drawing: Tensor) -> Tensor:
    """Pictures as a camera would have them to which the face's skin has its usual colour: many films have a cast."""
    skin = levels_of(image, drawing)[0]
    return (image * skin.new_tensor(SKIN)[:, None, None] * grey_of(skin) / skin).clamp(0, 1)


class _Light(nn.Module):
    """From the drawing and the places in both rows to the light on each, and what is behind them, of the lips'."""

    def __init__(self, width: int, step: int) -> None:
        """``step``: pixels of the crop for one of the picture that the light is found in."""
        super().__init__()
        self.step = step
        self.layers = nn.Sequential(
            nn.Conv2d(5, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 3, 1),
        )
        nn.init.zeros_(self.layers[-1].weight)
        self.register_buffer("enlarge", _enlarging(LIGHT_PX, step), persistent=False)

    def forward(self, drawing: Tensor, across: Tensor, down: Tensor) -> Tensor:
        """``across`` (n, 2, 1, size) and ``down`` (n, 2, size, 1): as :func:`_places` gives them."""
        step = self.step
        small = nn.functional.avg_pool2d(drawing, step)
        side, along = across[:, :1, :, ::step].abs(), down[:, :, ::step]
        coordinates = (side / REACH).clamp(max=2), (along / REACH).clamp(-2, 2)
        flat = [each.expand(-1, -1, LIGHT_PX, LIGHT_PX) for each in coordinates]
        found = self.layers(torch.cat([small, *flat], 1))
        # Bilinear, as a product: ONNX Runtime would enlarge, and bend, sixteen channels in place of three.
        wide = self.enlarge @ (found @ self.enlarge.T)
        ranges = wide.new_tensor([LIGHT, LIGHT, BEHIND])[..., None, None]
        return ranges[:, 0] + torch.sigmoid(wide) * (ranges[:, 1] - ranges[:, 0])


def _enlarging(size: int, step: int) -> Tensor:
    """What makes a column of ``size`` numbers ``step`` times as long (step * size, size), linear in between."""
    return nn.functional.interpolate(torch.eye(size)[None], scale_factor=float(step), mode="linear")[0].T.contiguous()


def _places(at: Tensor, jaws: Tensor) -> tuple[Tensor, Tensor]:
    """How far each column (n, 2, 1, size) and row (n, 2, size, 1) is from the middles of both jaws (n, 2, 4), mouth
    widths.
    """
    x, y, across, down = jaws[..., None].split(1, 2)
    return (at - x) / across, (at[:, None] - y) / down


def levels_of(image: Tensor, drawing: Tensor) -> tuple[Tensor, Tensor]:
    """The mean colours (n, 3, 1, 1) of the skin around the lips and of the lips."""
    enclosed = torch.cat([torch.ones_like(drawing[:, :1]), drawing[:, :1]], 1)
    weights = (enclosed - nn.functional.max_pool2d(drawing, 5, 1, 2)).clamp(min=0)  # (n, 2, ...): skin, lips
    sums = (image[:, :, None] * weights[:, None]).sum((3, 4), keepdim=True)[..., 0]  # (n, 3, 2, 1)
    levels = (sums / (weights.sum((2, 3), keepdim=True)[..., 0][:, None] + 1)).clamp(min=DARKEST)
    return levels[:, :, :1], levels[:, :, 1:]


class Learner(nn.Module):
    """The painter, and what those who are learnt from have of their own, which is not shipped."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.painter = InsideNet(shape)
        self.people = nn.Parameter(torch.zeros(shape.people, OWN))
        self.moves = nn.Parameter(torch.zeros(shape.frames, MOVES))

    def own(self, person: Tensor, frame: Tensor, mirrored: Tensor) -> Own:
        """Of the mouths in frames (n,); ``mirrored`` (n,) 1 or -1."""
        values = [each[:, None, None, None] for each in self.people[person].unbind(1)]
        moves = STEP * self.moves[frame].reshape(-1, 2, 2, 1, 1)  # (n, rows, across and down, ...)
        side = mirrored[:, None, None, None]
        return Own(
            (values[0] + moves[:, :, 0]) * side,
            torch.cat(values[1:3], 1) + moves[:, :, 1],
            values[3].exp(),
            values[4].exp(),
            SOFT * values[5].clamp(math.log(SHARP / SOFT), 1.0).exp(),
        )

    def usual(self, soft: float = SOFT) -> Own:
        """Of a mouth that nobody knows, filmed by such a camera."""
        return Own(soft=soft)
