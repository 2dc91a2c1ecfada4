// The list of takes, inside a gr.HTML component. props.value is {takes: [{id, title, detail, when, starred, mark}, …],
// chosen, none}; choosing one triggers "select" with its id. Radio buttons, so that arrow keys and screen readers work.
const box = document.createElement("div");
box.className = "take-list";
box.setAttribute("role", "radiogroup");
box.ariaLabel = "Takes, the newest first";
element.replaceChildren(box);
const group = `takes-${Math.random().toString(36).slice(2)}`;
let timer;

const span = (name, text) => {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
};

const when = (iso) => {
  const then = new Date(iso), today = new Date().toDateString() === then.toDateString();
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return today ? time : `${then.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
};

const card = (take, chosen) => {
  const label = document.createElement("label");
  label.className = "take";
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = group;
  radio.value = take.id;
  radio.checked = take.id === chosen;
  radio.addEventListener("change", () => {
    props.value = { ...props.value, chosen: take.id };
    clearTimeout(timer); // arrow keys run through the list: only where they stop is fetched
    timer = setTimeout(() => trigger("select", { id: take.id }), 200);
  });
  const title = span("take-title", take.title);
  title.dir = "auto";
  const detail = span("take-detail", `${take.detail} · ${when(take.when)}`);
  label.append(radio, title, detail);
  if (take.starred) {
    const star = span("take-mark", "★");
    star.setAttribute("role", "img");
    star.ariaLabel = "starred";
    label.append(star);
  }
  if (take.mark) label.append(span("take-note", take.mark));
  return label;
};

const draw = () => {
  const { takes = [], chosen = null, none = "" } = props.value ?? {};
  const focused = box.contains(document.activeElement) ? document.activeElement.value : null;
  box.replaceChildren(...takes.map((take) => card(take, chosen)));
  if (!takes.length) box.append(span("take-none", none));
  if (focused) box.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus();
};

draw();
watch("value", draw);
