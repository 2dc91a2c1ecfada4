// The dialogue editor: a line for each turn, with its voice. It runs inside a gr.HTML component, which gives it
// element, props, trigger and watch. props.value is [{voice, text}, …], props.voices [[group, [[id, name], …]], …].
const MAX_LINES = props.max_lines;
const list = document.createElement("ol");
list.className = "dialogue-lines";
const add = document.createElement("button");
add.type = "button";
add.className = "dialogue-add";
const said = document.createElement("span"); // for screen readers: what a button just did
said.className = "only-read";
said.setAttribute("role", "status");
element.replaceChildren(list, add, said);

let lines = [];
let timer;

const tell = (delay) => {
  // The value is there at once; only the count of seconds waits for a pause in the typing.
  props.value = lines.map(({ voice, text }) => ({ voice, text }));
  clearTimeout(timer);
  timer = setTimeout(() => trigger("input"), delay);
};

const field = (index, name) => list.children[index]?.querySelector(name);

const button = (label, sign, action, enabled) => {
  const made = document.createElement("button");
  made.type = "button";
  made.ariaLabel = made.title = label;
  made.textContent = sign;
  made.disabled = !enabled;
  made.addEventListener("click", action);
  return made;
};

const picker = (line, number) => {
  const select = document.createElement("select");
  select.ariaLabel = `Voice of line ${number}`;
  const known = [];
  for (const [group, voices] of props.voices ?? []) {
    const box = document.createElement("optgroup");
    box.label = group;
    for (const [id, name] of voices) {
      box.append(new Option(name, id));
      known.push(id);
    }
    select.append(box);
  }
  if (!known.includes(line.voice)) select.prepend(new Option("Choose a voice", line.voice));
  select.value = line.voice;
  select.addEventListener("change", () => { line.voice = select.value; tell(0); });
  return select;
};

const row = (line, index) => {
  const number = index + 1;
  const item = document.createElement("li");
  const text = document.createElement("textarea");
  text.ariaLabel = `Text of line ${number}`;
  text.dir = "auto";
  text.rows = 2;
  text.value = line.text;
  text.placeholder = number === 1 ? "What does this voice say?" : "";
  text.addEventListener("input", () => { line.text = text.value; tell(300); });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault(); // a turn is one line: Enter begins the next
    if (index + 1 < lines.length) field(index + 1, "textarea").focus();
    else insert(index + 1);
  });
  const tools = document.createElement("div");
  tools.className = "dialogue-tools";
  tools.append(
    button(`Move line ${number} up`, "↑", () => move(index, -1), index > 0),
    button(`Move line ${number} down`, "↓", () => move(index, 1), number < lines.length),
    button(`Remove line ${number}`, "×", () => remove(index), lines.length > 1),
  );
  item.append(picker(line, number), tools, text);
  return item;
};

const draw = () => {
  list.replaceChildren(...lines.map(row));
  add.disabled = lines.length >= MAX_LINES;
  add.textContent = add.disabled ? `${MAX_LINES} lines are the limit` : "Add a line";
};

const insert = (index) => {
  if (lines.length >= MAX_LINES) return;
  // Two people take turns: whoever spoke before the last line speaks next.
  lines.splice(index, 0, { voice: lines[index - 2]?.voice ?? lines[index - 1]?.voice ?? "", text: "" });
  draw();
  tell(0);
  said.textContent = `Line ${index + 1} added`;
  field(index, "textarea").focus();
};

const move = (index, by) => {
  [lines[index], lines[index + by]] = [lines[index + by], lines[index]];
  draw();
  tell(0);
  said.textContent = `Moved to line ${index + by + 1}`;
  const tools = list.children[index + by].querySelectorAll(".dialogue-tools button");
  const same = tools[by < 0 ? 0 : 1];
  (same.disabled ? tools[by < 0 ? 1 : 0] : same).focus();
};

const remove = (index) => {
  lines.splice(index, 1);
  draw();
  tell(0);
  said.textContent = `Line ${index + 1} removed`;
  field(Math.max(0, index - 1), "textarea").focus();
};

const take = () => {
  const given = Array.isArray(props.value) ? props.value : [];
  lines = given.map(({ voice, text }) => ({ voice: String(voice ?? ""), text: String(text ?? "") }));
  if (!lines.length) lines = [{ voice: "", text: "" }];
  draw();
};

add.addEventListener("click", () => insert(lines.length));
take();
watch("value", take);
watch("voices", draw);
