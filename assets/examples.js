// Lines that the loaded checkpoint was taught, inside a gr.HTML component. props.value is {lines: […], count}; pressing one
// triggers "select" with it.
const draw = () => {
  const { lines = [], count = 0 } = props.value ?? {};
  element.replaceChildren();
  if (!lines.length) return;
  const note = document.createElement("p");
  note.className = "hint";
  note.textContent = `This small checkpoint knows ${count} words, and says lines such as these:`;
  const row = document.createElement("div");
  row.className = "example-lines";
  for (const line of lines) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = line;
    button.addEventListener("click", () => trigger("select", { line }));
    row.append(button);
  }
  element.append(note, row);
};
draw();
watch("value", draw);
