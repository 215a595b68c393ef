"""Pages in headless Chromium, as a phone or in dark mode shows them."""

import html
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
COMMAND = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
DARK = "--blink-settings=preferredColorScheme=0"

# Texts and what lies behind them, by WCAG's contrast (from 1 to 21); pictures and charts have colours of their own.
MEASURE = """<script>
addEventListener("load", () => setTimeout(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => numbers(colour).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  let contrast = 21, worst = "";
  for (const element of document.body.querySelectorAll("*:not(svg):not(svg *):not(script):not(style)")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    if (!element.checkVisibility()) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    const found = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (found < contrast) [contrast, worst] = [found, element.outerHTML.slice(0, 200)];
  }
  const width = document.documentElement.scrollWidth;
  parent.postMessage({ width, dark: matchMedia("(prefers-color-scheme: dark)").matches, contrast, worst }, "*");
}, 500));
</script>"""
FRAME = """<!doctype html><iframe src="{source}" style="width: {width}px; height: 900px; border: 0"></iframe>
<pre id="found"></pre>
<script>addEventListener("message", (event) => {{ found.textContent = JSON.stringify(event.data); }});</script>"""


@dataclass(frozen=True)
class Measured:
    """How wide the page is, whether it is dark, and its worst contrast of text with the element that has it."""

    width: int
    dark: bool
    contrast: float
    worst: str


def browse(page: Path, address: str = "", *options: str) -> str:
    """The page as a browser has it after its scripts ran."""
    command = [str(CHROMIUM), *COMMAND, *options, "--virtual-time-budget=5000", "--dump-dom"]
    # A profile of its own: two browsers with one profile would be one.
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [*command, f"--user-data-dir={profile}", f"{page.as_uri()}{address}"],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    return done.stdout


def measure(page: Path, width: int, *options: str) -> Measured:
    """The page in a frame of `width` pixels."""
    copy = page.with_name(f"measured-{page.name}")
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    frame = page.with_name(f"frame-{page.name}")
    frame.write_text(FRAME.format(source=copy.name, width=width), encoding="utf-8")
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', browse(frame, "", *options), re.DOTALL)
    return Measured(**json.loads(html.unescape(found)))
