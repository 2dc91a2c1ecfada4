// What the page does in the browser itself. Kept small: everything that can be done on the server is done there.
(() => {
  // A name for this tab and what was typed in it live in sessionStorage: they survive a reload, and end with the tab.
  const read = (key) => { try { return JSON.parse(sessionStorage.getItem("studio." + key)); } catch { return null; } };
  const write = (key, value) => { try { sessionStorage.setItem("studio." + key, JSON.stringify(value)); } catch { /* full or forbidden: nothing is remembered */ } };
  if (!read("tab")) write("tab", Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join(""));
  let recording = false;
  const interrupted = read("recording") === true;
  write("recording", false);
  window.studio = {
    remember: (key, ...values) => { write(key, values); },
    forget: (key) => { sessionStorage.removeItem("studio." + key); },
    // Everything this tab remembers, for the server to fill the page with.
    recall: () => ({ tab: read("tab"), speak: read("speak"), voices: read("voices"), interrupted }),
    recording: (on) => { recording = on; write("recording", on); },
  };
  // Leaving the page would end a recording that nobody has heard yet.
  window.addEventListener("beforeunload", (event) => { if (recording) { event.preventDefault(); event.returnValue = ""; } });
})();
