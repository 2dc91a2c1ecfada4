// A plot that stays where it is: props.value is {data, layout} of plotly, or null; only what changed is drawn anew, so zoom
// and the line under the mouse stay. (gr.Plot makes a new plot for every value.) Plotly itself comes with Gradio's own plot:
// an empty one of those is on the page for that.
const box = document.createElement("div");
box.className = "curves";
const empty = document.createElement("p");
empty.className = "curves-none hint";
element.replaceChildren(box, empty);
let drawn = false;

const look = (name) => getComputedStyle(element).getPropertyValue(name).trim();
const themed = (layout) => {
  const text = look("--body-text-color"), line = look("--border-color-primary"), faint = look("--block-info-text-color");
  const made = {
    ...layout, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger that drags scrolls the page
    font: { ...layout.font, color: text, family: look("--font") || "sans-serif" },
    hoverlabel: { ...layout.hoverlabel, bgcolor: look("--block-background-fill"), bordercolor: line, font: { color: text } },
  };
  for (const name of Object.keys(made).filter((key) => /^[xy]axis\d*$/.test(key)).concat(["xaxis", "yaxis"])) {
    made[name] = { ...made[name], gridcolor: line, linecolor: line, zerolinecolor: line, tickfont: { size: 11, color: faint } };
  }
  return made;
};

const draw = () => {
  const value = props.value, plotly = window.Plotly;
  const some = value && value.data?.length;
  box.style.display = some ? "" : "none";
  empty.textContent = some ? "" : value?.none ?? "";
  empty.style.display = empty.textContent ? "" : "none";
  if (!some || !plotly || !element.offsetParent) return; // not there yet, or on a tab that is not seen
  plotly.react(box, value.data, themed(value.layout), { responsive: true, displayModeBar: false });
  drawn = value;
};

// Until plotly is there, and whenever the plot comes into sight with another width.
new ResizeObserver(() => { if (drawn !== props.value) draw(); else if (drawn && box.offsetParent) window.Plotly.Plots.resize(box); })
  .observe(element);
const wait = setInterval(() => {
  if (!element.isConnected) clearInterval(wait);
  if (window.Plotly && drawn !== props.value) draw();
}, 250);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(draw, 300));
draw();
watch("value", draw);
