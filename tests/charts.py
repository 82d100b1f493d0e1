"""charts.py - can a chart be read?  For the tests of the reports.

Owns nothing: it draws a figure of matplotlib's and looks at what came of it.

SPDX-License-Identifier: BSD-2-Clause
"""
import itertools

# What is nearer to its neighbour in a line than that, in parts of its height, is read as one word with it.
SPACE = 0.3


def draw(figure):
    """The figure drawn in memory; its renderer."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def ticks(axis, limits):
    """The labels of ticks that are within the axes."""
    return [label for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels()) if min(limits) <= place <= max(limits)]


def labels(figure):
    """Everything that is written."""
    found = [*figure.texts]
    for legend in figure.legends:
        found += legend.get_texts()
    for axes in figure.axes:
        found += [axes.title, axes._left_title, axes._right_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        found += ticks(axes.xaxis, axes.get_xlim()) + ticks(axes.yaxis, axes.get_ylim())
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def collisions(figure):
    """The pairs of labels one of which stands on the other, or runs into it."""
    renderer = draw(figure)
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in labels(figure)]
    return [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2)
            if max(one.x0, other.x0) - min(one.x1, other.x1) < SPACE * min(one.height, other.height)
            and one.y0 < other.y1 and other.y0 < one.y1]


def lookalikes(figure):
    """The pairs of the legend's lines that have colour and marker in common."""
    lines = [line for legend in figure.legends for line in legend.get_lines()]
    return [(a.get_label(), b.get_label()) for a, b in itertools.combinations(lines, 2)
            if a.get_color() == b.get_color() and a.get_marker() == b.get_marker()]
