// Keys of the review: they press the buttons that are seen, so that a key does what its button does and nothing else.
const BUTTONS = { a: "#review-accept", d: "#review-drop", u: "#review-undo" };
const typing = (target) => target.matches("input:not([type=radio]), textarea, select, [contenteditable]");

function step(by) {
  const options = [...document.querySelectorAll("#review-list input[type=radio]")];
  const at = options.findIndex((option) => option.checked);
  const next = options[at + by];
  if (next) next.click();
  else document.querySelector(by > 0 ? "#review-after" : "#review-before")?.click();
}

if (!window.reviewKeys) {
  window.reviewKeys = true;
  document.addEventListener("keydown", (event) => {
    const editor = document.querySelector("#review-editor");
    if (!editor?.offsetParent || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === " ") document.querySelector("#review-player button[aria-label='Play'], #review-player button[aria-label='Pause']")?.click();
    else if (event.key in BUTTONS) document.querySelector(BUTTONS[event.key])?.click();
    else return;
    event.preventDefault();
  });
}
