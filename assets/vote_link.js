// A link for listeners, inside a gr.HTML component: props.value is {token, trouble}. The address is known to the browser alone.
const draw = () => {
  const { token = "", trouble = "" } = props.value ?? {};
  element.replaceChildren();
  if (trouble) { element.textContent = trouble; return; }
  if (!token) return;
  const root = (window.gradio_config?.root || location.origin + location.pathname).replace(/\/+$/, "");
  const row = document.createElement("div"), link = document.createElement("input"), copy = document.createElement("button");
  row.className = "vote-link";
  link.type = "text";
  link.readOnly = true;
  link.ariaLabel = "Link for listeners";
  link.value = `${root}/vote/${token}`;
  link.addEventListener("focus", () => link.select());
  copy.type = "button";
  copy.textContent = "Copy";
  copy.addEventListener("click", async () => {
    link.select();
    try { await navigator.clipboard.writeText(link.value); } catch { document.execCommand("copy"); } // plain http has no clipboard
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  });
  row.append(link, copy);
  element.append(row);
  if (["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) {
    const note = document.createElement("p");
    note.className = "hint";
    note.textContent = "You opened the studio by an address that only this machine knows: others need one by which they reach it.";
    element.append(note);
  }
};
draw();
watch("value", draw);
