// What the page does in the browser itself. Kept small: everything that can be done on the server is done there.
(() => {
  // A name for this tab, and what was typed in it, live in sessionStorage: they survive a reload and end with the tab.
  const read = (key) => { try { return JSON.parse(sessionStorage.getItem("studio." + key)); } catch { return null; } };
  const write = (key, value) => {
    try { sessionStorage.setItem("studio." + key, JSON.stringify(value)); } catch { /* full or forbidden: nothing is kept */ }
  };
  const bytes = new Uint8Array(16);
  if (!read("tab")) write("tab", Array.from(crypto.getRandomValues(bytes), (b) => b.toString(16).padStart(2, "0")).join(""));
  const tab = read("tab");

  window.studio = {
    remember: (key, ...values) => write(key, values),
    // Everything that this tab remembers, for the server to fill the page with.
    recall: () => ({ tab, speak: read("speak"), voices: read("voices"), train: read("train"), job: read("job"), compare: read("compare"),
      comparison: read("comparison"), interrupted: interrupted }),
    // Whether the first steps are done, so that the next page begins without them; `skipped`: for this tab.
    walked: (skipped = read("skipped") === true) => {
      write("skipped", skipped);
      const row = document.getElementById("walk");
      const done = !row || row.classList.contains("hide");
      try { localStorage.setItem("studio.walked", JSON.stringify(done && !skipped)); } catch { /* forbidden: they are shown */ }
      document.documentElement.classList.toggle("walked", done || skipped);
    },
  };
  const walked = () => { try { return localStorage.getItem("studio.walked") === "true"; } catch { return false; } };
  document.documentElement.classList.toggle("walked", walked() || read("skipped") === true);

  // A reload comes back to the tab of the page that was seen, at once; whoever reaches for another meanwhile has it.
  const seen = read("seen");
  new MutationObserver(() => {
    const now = document.querySelector("[role=tablist] [role=tab][aria-selected=true]")?.textContent.trim();
    if (now) write("seen", now);
  }).observe(document, { subtree: true, attributes: true, attributeFilter: ["aria-selected"] });
  if (seen && read("recording") !== true) {
    let left = 100;
    const back = setInterval(() => {
      const tabs = [...document.querySelectorAll("[role=tablist] [role=tab]")];
      const found = tabs.find((each) => each.textContent.trim() === seen);
      if (found?.getAttribute("aria-selected") === "true" || !left--) clearInterval(back);
      else found?.click();  // which the page does not hear in its first moments
    }, 50);
    addEventListener("pointerdown", () => clearInterval(back), { once: true, capture: true });
  }

  // A recording is kept second by second in the browser's own database while it is made. If the page goes away in the
  // middle, the next one hands what there is to the upload box, as if it had been a file.
  const interrupted = read("recording") === true;
  write("recording", false);
  let recording = false;
  const database = () => new Promise((resolve, reject) => {
    const opening = indexedDB.open("studio", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("recordings");
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  const stored = async (mode, act) => {
    const opened = await database();
    try {
      return await new Promise((resolve, reject) => {
        const asked = act(opened.transaction("recordings", mode).objectStore("recordings"));
        asked.onsuccess = () => resolve(asked.result);
        asked.onerror = () => reject(asked.error);
      });
    } finally {
      opened.close();
    }
  };
  const keep = (blob) => stored("readwrite", (shelf) => shelf.put(blob, tab)).catch(() => {});
  const drop = () => stored("readwrite", (shelf) => shelf.delete(tab)).catch(() => {});

  const Recorder = window.MediaRecorder;
  if (Recorder) {
    window.MediaRecorder = class extends Recorder {
      constructor(stream, options) {
        super(stream, options);
        const pieces = [];
        this.addEventListener("start", () => { recording = true; write("recording", true); });
        this.addEventListener("dataavailable", (event) => {
          pieces.push(event.data);
          if (recording) keep(new Blob(pieces, { type: this.mimeType }));
        });
        this.addEventListener("stop", () => { recording = false; write("recording", false); drop(); });
      }
      start(slice) { super.start(slice ?? 1000); }
    };
  }
  window.addEventListener("beforeunload", (event) => { if (recording) { event.preventDefault(); event.returnValue = ""; } });

  const appears = (selector, seconds) => new Promise((resolve) => {
    const until = Date.now() + seconds * 1000;
    const look = () => {
      const found = document.querySelector(selector);
      if (found || Date.now() > until) resolve(found); else setTimeout(look, 200);
    };
    look();
  });
  const rescue = async () => {
    const blob = await stored("readonly", (shelf) => shelf.get(tab)).catch(() => null);
    await drop();
    if (!blob || !blob.size) return;
    const chooser = await appears("#clip button[aria-label='Upload file']", 3600);
    if (!chooser) return;
    chooser.click();
    const input = await appears("#clip input[type=file]", 20);
    if (!input) return;
    const files = new DataTransfer();
    // The box takes what a browser calls audio; a bare container type without its codecs is enough for that.
    files.items.add(new File([blob], "rescued recording.webm", { type: blob.type.split(";")[0].replace("video/", "audio/") }));
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  if (interrupted) rescue();

  // A player that cannot play says so, and offers the file: a dead player under "The take is ready" would be a lie. Media
  // events do not bubble, so they are caught on their way down.
  const playerOf = (event) => event.target instanceof HTMLMediaElement ? event.target.closest(".block[id]") : null;
  document.addEventListener("error", (event) => {
    const box = playerOf(event), source = event.target.currentSrc || event.target.src;
    if (!box || box.id === "live" || !source || box.querySelector(".unplayable")) return;
    const note = document.createElement("p"), link = document.createElement("a");
    note.className = "unplayable";
    note.setAttribute("role", "status");
    link.href = source;
    link.download = "";
    link.textContent = "Download it";
    note.append("This browser could not load or play the sound. ", link, ", or reload the page.");
    box.append(note);
  }, true);
  // A player that is given another sound while it plays falls silent, of which no event tells: its button would go on
  // saying "Pause".
  const media = HTMLMediaElement.prototype, source = Object.getOwnPropertyDescriptor(media, "src");
  Object.defineProperty(media, "src", { ...source, set(value) {
    const playing = !this.paused;
    source.set.call(this, value);
    if (playing && this.paused) this.dispatchEvent(new Event("pause"));
  } });
  // Another sound, or the same one after all: what was said of the last one goes.
  for (const news of ["loadstart", "emptied", "loadeddata"]) {
    document.addEventListener(news, (event) => playerOf(event)?.querySelector(".unplayable")?.remove(), true);
  }
})();
