const darkScheme = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.innerWidth < 600;

function layoutOf(figure, small, text, line) {
  const layout = structuredClone(figure.layout);
  layout.font = { color: text, size: narrow ? 11 : 13 };
  for (const key of Object.keys(layout).filter((name) => /^[xy]axis/.test(name)))
    Object.assign(layout[key], { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true });
  if (small) {
    layout.legend = { orientation: "h", y: 1.02, yanchor: "bottom" };
    layout.margin.t = 60;
  } else if (narrow) {
    layout.legend = { orientation: "h", y: -0.3, font: { size: 10 } };
  }
  return layout;
}

function draw(printing) {
  const style = getComputedStyle(document.documentElement);
  const text = printing ? "#1b1b1b" : style.getPropertyValue("--text").trim();
  const line = printing ? "#d0d0d0" : style.getPropertyValue("--line").trim();
  for (const [id, figure] of Object.entries(FIGURES)) {
    const small = document.getElementById(id).classList.contains("small");
    const modeBar = narrow || small ? false : "hover";
    const options = { responsive: true, displaylogo: false, displayModeBar: modeBar };
    Plotly.react(id, figure.data, layoutOf(figure, small, text, line), options);
  }
}

function markWideTables() {
  for (const box of document.querySelectorAll(".table")) {
    const scroller = box.querySelector(".wide");
    box.classList.toggle("overflowing", scroller.scrollWidth > scroller.clientWidth);
  }
}

async function loadPlotly() {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").text), (letter) => letter.charCodeAt(0));
  const unpacking = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(unpacking).text();
  document.head.append(script);
}

markWideTables();
window.addEventListener("resize", markWideTables);
loadPlotly().then(() => {
  draw(false);
  darkScheme.addEventListener("change", () => draw(false));
  window.addEventListener("beforeprint", () => draw(true));
  window.addEventListener("afterprint", () => draw(false));
}).catch((problem) => {
  console.error(problem);
  for (const plot of document.querySelectorAll(".plot"))
    plot.textContent = "This browser cannot draw the figures; one of 2023 or later can.";
});
