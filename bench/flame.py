"""Stacks from `perf script`, and a flame graph of them as one SVG that needs nothing else.

A stack is a tuple of frames, root first; a frame is (symbol, object, source file or ""). Own code
and no package: folding is a dictionary, the picture is rectangles, and the colours here say which
layer a frame belongs to, which no tool at hand does. Hover over a frame to read its share.
"""

import collections
import html
import re
import subprocess

HEAD = re.compile(r"^(\S.*?)\s+(\d+)/(\d+)\s*$")
FRAME = re.compile(r"^\s+([0-9a-f]+) (.*) \((.*)\)$")
ADDRESS = re.compile(r"^0x[0-9a-f]+$")

UNKNOWN = "[unknown]"
# Not worth a row. A library without frame pointers leaves addresses that are none, and hides its caller.
BENEATH = (UNKNOWN, "start_thread", "clone3", "clone", "__bss_start")

WIDTH = 1600
LEGEND_COLUMNS = 4
ROW = 17
MARGIN = 10
CHARACTER = 6.6      # width of one, at the font size below
LEAST_PX = 0.4       # narrower frames are left out
# Hues of a process's or the kernel's layers: kernel warm, gateway green to blue, worker violet.
HUES = {"kernel": (5, 62), "gateway": (95, 215), "worker": (255, 335)}
OTHER_COLOUR = "#c8c8c8"


def stacks_read(text):
    """[(pid, [(address, symbol, object) leaf first])] of `perf script -F comm,pid,tid,ip,sym,dso`."""
    found = []
    for line in text.splitlines():
        head = HEAD.match(line)
        frame = FRAME.match(line)
        if head:
            found.append((int(head.group(2)), []))
        elif frame and found:
            found[-1][1].append((int(frame.group(1), 16), frame.group(2), frame.group(3)))
    return [(pid, frames) for pid, frames in found if frames]


def functions_at(program, addresses):
    """{address: [(function, file), innermost first]} of a program with debug information: what was
    inlined stands as frames of its own. Empty where addr2line or the information is missing."""
    if not addresses:
        return {}
    wanted = sorted(addresses)
    try:
        done = subprocess.run(["addr2line", "-a", "-f", "-i", "-e", program], capture_output=True, text=True,
                              check=False, input="".join(f"{address:#x}\n" for address in wanted))
    except FileNotFoundError:
        return {}
    found = {}
    lines = iter(done.stdout.splitlines())
    current = None
    for line in lines:
        if ADDRESS.match(line):
            current = found.setdefault(int(line, 16), [])
        elif current is not None:
            place = next(lines, "??:0").rpartition(":")[0]
            current.append((line, place))
    return {address: frames for address, frames in found.items() if frames and frames[0][0] != "??"}


def file_of(path, source):
    """A source file as people name it: within the repository, or its last part."""
    prefix = str(source).rstrip("/") + "/"
    if path.startswith(prefix):
        return path[len(prefix):]
    return "" if path.startswith("?") else path.rsplit("/", 1)[-1]


def fold(samples, names, source, programs):
    """{stack: samples}, stacks beginning with names[pid]. Frames of objects whose path is in
    `programs` are taken apart into the functions that were inlined there."""
    addresses = collections.defaultdict(set)
    for _, frames in samples:
        for address, _, program in frames:
            if program in programs:
                addresses[program].add(address)
    lines = {program: functions_at(program, wanted) for program, wanted in addresses.items()}
    folded = collections.Counter()
    for pid, frames in samples:
        stack = [(names.get(pid, str(pid)), "", "")]
        for depth, (address, symbol, program) in reversed(list(enumerate(frames))):
            if symbol in BENEATH and depth > 0:
                continue
            if symbol == UNKNOWN:
                symbol = program.rsplit("/", 1)[-1].strip("[]")
            inlined = lines.get(program, {}).get(address)
            if inlined:
                stack += [(function, program, file_of(file, source)) for function, file in reversed(inlined)]
            else:
                stack.append((symbol.split("+")[0], program, ""))
        folded[tuple(stack)] += 1
    return folded


def folded_text(folded):
    """The common form of other tools: `frame;frame;frame count` lines."""
    return "".join(";".join(frame[0].replace(";", ":") for frame in stack) + f" {count}\n"
                   for stack, count in sorted(folded.items()))


class Box:
    """One frame of the graph with what lies above it."""

    def __init__(self, frame, path):
        self.frame = frame
        self.path = path
        self.count = 0
        self.above = {}


def tree_of(folded):
    root = Box(("all", "", ""), ())
    for stack, count in folded.items():
        root.count += count
        box = root
        for frame in stack:
            key = (frame[0], frame[1])
            box = box.above.setdefault(key, Box(frame, (*box.path, frame)))
            box.count += count
    return root


def colours_of(wanted):
    """{layer: colour}, in the order given; neighbours in a family are of different lightness."""
    found = {}
    for layer in wanted:
        family = [other for other in wanted if other.split(":")[0] == layer.split(":")[0]]
        low, high = HUES.get(layer.split(":")[0], (0, 0))
        place = family.index(layer)
        found[layer] = OTHER_COLOUR if high == 0 else (
            f"hsl({low + (high - low) * place // max(1, len(family) - 1)},{62 - 14 * (place % 2)}%,{64 + 10 * (place % 3)}%)")
    return found


def svg(folded, title, layer_of):
    """The picture. layer_of(stack up to a frame) names the layer that colours it."""
    root = tree_of(folded)
    if root.count == 0:
        raise ValueError("no samples: nothing to draw")
    scale = (WIDTH - 2 * MARGIN) / root.count
    boxes = []
    todo = [(root, float(MARGIN), 0)]
    deepest = 0
    while todo:
        box, left, depth = todo.pop()
        boxes.append((box, left, depth))
        deepest = max(deepest, depth)
        for child in sorted(box.above.values(), key=lambda child: child.frame[0]):
            if child.count * scale >= LEAST_PX:
                todo.append((child, left, depth + 1))
            left += child.count * scale
    layers = {id(box): layer_of(box.path) if box.path else "" for box, _, _ in boxes}
    shares = collections.Counter()
    for stack, count in folded.items():
        shares[layer_of(stack)] += count
    colours = colours_of([layer for layer, _ in shares.most_common()])
    legend_rows = -(-len(colours) // LEGEND_COLUMNS)
    top = 44 + legend_rows * 18
    height = top + (deepest + 1) * ROW + MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="monospace" font-size="11">',
           "<style>rect{stroke:#fff;stroke-width:.5} g:hover rect{stroke:#000} text{pointer-events:none}</style>",
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
           f'<text x="{MARGIN}" y="22" font-size="15">{html.escape(title)}</text>']
    for i, (layer, colour) in enumerate(colours.items()):
        x = MARGIN + i % LEGEND_COLUMNS * (WIDTH - MARGIN) // LEGEND_COLUMNS
        y = 34 + i // LEGEND_COLUMNS * 18
        out.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{x + 17}" y="{y + 10}">{html.escape(layer)} {shares[layer] * 100 / root.count:.1f} %</text>')
    for box, left, depth in boxes:
        out.append(box_svg(box, left, height - MARGIN - (depth + 1) * ROW, box.count * scale,
                           colours.get(layers[id(box)], "#dddddd"), layers[id(box)], root.count))
    return "\n".join(out) + "\n</svg>\n"


def box_svg(box, left, top, width, colour, layer, total):
    name, program, file = box.frame
    where = file or program.rsplit("/", 1)[-1].strip("[]")
    hover = f"{name}" + (f" ({where})" if where else "") + (f", {layer}" if layer else "")
    hover += f": {box.count * 100 / total:.2f} %, {box.count:,} samples"
    fits = int((width - 6) / CHARACTER)
    label = name if len(name) <= fits else name[:fits - 2] + ".." if fits >= 4 else ""
    text = f'<text x="{left + 3:.1f}" y="{top + 12}">{html.escape(label)}</text>' if label else ""
    return (f'<g><title>{html.escape(hover)}</title><rect x="{left:.2f}" y="{top}" width="{width:.2f}" '
            f'height="{ROW - 1}" rx="1.5" fill="{colour}"/>{text}</g>')
