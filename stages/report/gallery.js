"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const PAGE = 60; // images added at a time
let chosen = [];

// The state is in the address, so that a view can be saved and shared: gallery.html#class=dog&sort=worst
function readAddress() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const name of ["class", "sort", "layer", "opacity", "name"]) {
    if (state.has(name)) at(name).value = state.get(name);
  }
}

function writeAddress() {
  const state = new URLSearchParams();
  for (const name of ["class", "sort", "layer", "opacity", "name"]) {
    if (at(name).value) state.set(name, at(name).value);
  }
  history.replaceState(null, "", "#" + state);
}

// If a class is chosen, its IoU counts; an image with the class in neither mask has none and comes last.
function rateOf(entry) {
  const name = at("class").value;
  return name && entry.ious ? entry.ious[name] : entry.iou;
}

// The same for the doubt of the pseudo mask.
function doubtOf(entry) {
  const name = at("class").value;
  return name && entry.doubts ? entry.doubts[name] : entry.doubt;
}

// What images are sorted by, and 1 for the smallest first.
const ORDERS = { worst: [rateOf, 1], best: [rateOf, -1], doubt: [doubtOf, -1] };

function choose() {
  const name = at("class").value, part = at("name").value.toLowerCase(), sort = at("sort").value;
  chosen = data.entries
    .map((entry, number) => ({ entry, number }))
    .filter(({ entry }) => !name || entry.tags.includes(name) || (entry.ious && name in entry.ious))
    .filter(({ entry }) => entry.id.toLowerCase().includes(part));
  if (sort in ORDERS) {
    const [of, sign] = ORDERS[sort];
    const last = sign * Infinity;
    chosen.sort((a, b) => sign * ((of(a.entry) ?? last) - (of(b.entry) ?? last)) || a.number - b.number);
  }
  at("count").textContent = `${chosen.length} of ${data.entries.length} images`;
  at("grid").replaceChildren();
  addMore();
}

function addMore() {
  const shown = at("grid").childElementCount;
  at("grid").append(...chosen.slice(shown, shown + PAGE).map(figureOf));
  at("more").hidden = at("grid").childElementCount >= chosen.length;
}

function picture(source, size, name, text) {
  const image = document.createElement("img");
  Object.assign(image, { loading: "lazy", decoding: "async", src: source, width: size[0], height: size[1], alt: text });
  image.className = name;
  return image;
}

function figureOf({ entry, number }) {
  const figure = document.createElement("figure"), stack = document.createElement("div");
  stack.className = "stack";
  stack.style.aspectRatio = `${entry.size[0]} / ${entry.size[1]}`;
  stack.append(picture(`${data.folder}/${number}-image.jpg`, entry.size, "photo", entry.id));
  const layer = at("layer").value;
  if (entry.layers.includes(layer)) {
    const kind = layer === "map" ? "jpg" : "png";
    stack.append(picture(`${data.folder}/${number}-${layer.replace(" ", "-")}.${kind}`, entry.size, layer, ""));
  }
  const caption = document.createElement("figcaption"), tags = document.createElement("span");
  tags.textContent = entry.tags.join(", ");
  caption.append(entry.id, document.createElement("br"), tags);
  const rate = rateOf(entry), doubt = doubtOf(entry);
  if (rate !== undefined) {
    const figureRate = document.createElement("b");
    figureRate.textContent = rate.toFixed(1);
    caption.prepend(figureRate);
  }
  if (doubt !== undefined) {
    const figureDoubt = document.createElement("span");
    figureDoubt.className = "doubt";
    figureDoubt.textContent = `doubt ${doubt.toFixed(2)}`;
    tags.before(figureDoubt);
  }
  figure.append(stack, caption);
  return figure;
}

function update() {
  at("grid").style.setProperty("--opacity", at("opacity").value / 100);
  writeAddress();
  choose();
}

readAddress();
for (const name of ["class", "sort", "layer"]) at(name).addEventListener("change", update);
at("name").addEventListener("input", update);
at("opacity").addEventListener("input", () => {
  at("grid").style.setProperty("--opacity", at("opacity").value / 100);
  writeAddress();
});
at("more").addEventListener("click", addMore);
new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && addMore(), { rootMargin: "600px" }).observe(at("more"));
update();
