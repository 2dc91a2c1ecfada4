// Two sounds under one player, and a vote: what the Compare tab and the page for listeners have in common. Nothing in here
// knows who speaks. `cast({comparison, trial, choice, reason})` sends a vote; the next pair comes by `show`.
function blindBooth(root, cast) {
  root.innerHTML = `
    <div class="booth" hidden>
      <p class="booth-head"><span class="booth-count"></span><progress class="booth-done" max="1" value="0" aria-label="Pairs heard"></progress></p>
      <p class="booth-text" dir="auto"></p>
      <div class="booth-player" role="group" aria-label="The two sounds">
        <button type="button" class="booth-play" data-side="left"><span class="booth-sign" aria-hidden="true"></span><span class="booth-name"></span></button>
        <button type="button" class="booth-play" data-side="right"><span class="booth-sign" aria-hidden="true"></span><span class="booth-name"></span></button>
        <div class="booth-place"><input type="range" class="booth-seek" min="0" max="1" step="0.01" value="0" aria-label="Position"><span class="booth-time"></span></div>
      </div>
      <div class="booth-votes" role="group" aria-label="Your vote">
        <button type="button" data-choice="left"><kbd>1</kbd> 1 is better</button>
        <button type="button" data-choice="right"><kbd>2</kbd> 2 is better</button>
        <button type="button" data-choice="tie"><kbd>t</kbd> Tie</button>
        <button type="button" data-choice="both_bad"><kbd>b</kbd> Both bad</button>
      </div>
      <label class="booth-reason">Why? <span>(if you like)</span><input type="text" maxlength="1000" autocomplete="off" dir="auto"></label>
      <p class="booth-said" role="status"></p>
      <p class="booth-keys">Keys: <kbd>space</kbd> plays and pauses, <kbd>s</kbd> or the arrows switch, <kbd>1</kbd> <kbd>2</kbd> <kbd>t</kbd> <kbd>b</kbd> vote.</p>
    </div>`;
  const booth = root.firstElementChild, of = (name) => booth.querySelector(name), all = (name) => [...booth.querySelectorAll(name)];
  const seek = of(".booth-seek"), reason = of(".booth-reason input");
  const sides = ["left", "right"], other = (side) => sides[1 - sides.indexOf(side)];
  let pair = null, sounds = {}, at = "left", heard = new Set(), sent = false, late = 0, wanted = "";

  const say = (words, bad = false) => { of(".booth-said").textContent = words; of(".booth-said").classList.toggle("bad", bad); };
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}.${Math.floor((seconds * 10) % 10)}`;
  const playing = () => sounds[at] && !sounds[at].paused && !sounds[at].ended;
  const both = () => heard.size === 2;

  const draw = () => {
    for (const button of all(".booth-play")) {
      const here = button.dataset.side === at, runs = here && playing(), number = sides.indexOf(button.dataset.side) + 1;
      button.classList.toggle("here", here);
      button.classList.toggle("heard", heard.has(button.dataset.side));
      button.querySelector(".booth-name").textContent = `${runs ? "Pause" : "Play"} ${number}`;
      button.querySelector(".booth-sign").textContent = runs ? "❚❚" : "▶";
    }
    for (const button of all(".booth-votes button")) button.disabled = sent || !both();
    booth.dataset.heard = String(heard.size);
    const sound = sounds[at], length = sound?.duration || 0, now = sound?.currentTime || 0;
    seek.max = length || 1;
    if (document.activeElement !== seek || playing()) seek.value = now;
    of(".booth-time").textContent = length ? `${clock(now)} / ${clock(length)}` : "";
  };

  const quiet = () => { for (const sound of Object.values(sounds)) sound.pause(); };
  const turn = (side, run) => {
    const from = sounds[at], to = sounds[side];
    wanted = run ? side : ""; // whoever presses before a sound is loaded hears it once it is
    if (!to) { from?.pause(); at = side; draw(); return; }
    const where = from && !from.ended ? from.currentTime : 0;
    if (side !== at) {
      from?.pause();
      at = side;
      to.currentTime = where < (to.duration || 0) - 0.05 ? where : 0;
    }
    if (run) to.play().catch(() => {}); else to.pause();
    draw();
  };
  const press = (side) => turn(side, side !== at || !playing());

  const drop = () => {
    for (const sound of Object.values(sounds)) { sound.pause(); URL.revokeObjectURL(sound.src); sound.removeAttribute("src"); }
    sounds = {};
  };
  const load = async (shown) => {
    for (const side of sides) {
      try {
        const answer = await fetch(shown[side], { credentials: "same-origin", cache: "no-store" });
        if (!answer.ok) throw new Error();
        const blob = await answer.blob();
        if (pair !== shown) return;
        const sound = new Audio(URL.createObjectURL(blob));
        sound.addEventListener("playing", () => { heard.add(side); if (both() && !sent) say(""); draw(); });
        for (const news of ["pause", "ended", "timeupdate", "loadedmetadata", "durationchange"]) sound.addEventListener(news, draw);
        sounds[side] = sound;
        if (wanted === side) turn(side, true);
      } catch {
        if (pair === shown) say("A sound of this pair could not be loaded: reload the page.", true);
      }
    }
    draw();
  };

  const vote = (choice) => {
    if (!pair || sent) return;
    if (!both()) { say("Listen to both first."); return; }
    sent = true;
    quiet();
    const given = pair;
    // Where the answer stays away the same vote may be given again: it is counted once.
    clearTimeout(late);
    late = setTimeout(() => { if (pair === given) { sent = false; say("No answer came: vote again, it is counted once.", true); draw(); } }, 15000);
    draw();
    if (booth.contains(document.activeElement)) document.activeElement.blur();
    cast({ comparison: given.comparison, trial: given.id, choice, reason: reason.value });
  };

  seek.addEventListener("input", () => { if (sounds[at]) { sounds[at].currentTime = Number(seek.value); draw(); } });
  for (const button of all(".booth-play")) button.addEventListener("click", () => press(button.dataset.side));
  for (const button of all(".booth-votes button")) button.addEventListener("click", () => vote(button.dataset.choice));
  reason.addEventListener("keydown", (event) => { if (event.key === "Enter") reason.blur(); });

  const KEYS = { 1: "left", 2: "right", t: "tie", b: "both_bad" };
  const typing = (target) => target.matches?.("input:not([type=radio]):not([type=checkbox]):not([type=range]), textarea, select, [contenteditable]");
  const PRESSED = "button, a, summary, input, [role=option]";
  let tabbed = false; // whether what has the focus got it by the keys
  const onPointer = () => { tabbed = false; };
  const onKey = (event) => {
    if (!root.isConnected) {
      document.removeEventListener("keydown", onKey, true);
      document.removeEventListener("pointerdown", onPointer, true);
      return;
    }
    if (event.key === "Tab") tabbed = true;
    if (!pair || !booth.offsetParent || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // What somebody went to by the keys, elsewhere on the page, keeps its own keys; what was clicked has had its turn.
    const elsewhere = tabbed && !booth.contains(event.target) && event.target.matches?.(PRESSED);
    if (key in KEYS) { if (!event.repeat) vote(KEYS[key]); }
    else if (key === " " && !elsewhere) { if (!event.repeat) turn(at, !playing()); }
    else if (key === "s") { if (!event.repeat) turn(other(at), playing()); }
    else if ((key === "ArrowLeft" || key === "ArrowRight") && !elsewhere && event.target !== seek) turn(key === "ArrowLeft" ? "left" : "right", playing());
    else return;
    if (!tabbed && !booth.contains(event.target)) event.target.blur?.(); // it is no longer what is being done
    event.preventDefault();
    event.stopPropagation();
  };
  document.addEventListener("keydown", onKey, true);
  document.addEventListener("pointerdown", onPointer, true);
  // A button that has the focus would be pressed when the space bar is let go.
  booth.addEventListener("keyup", (event) => { if (event.key === " " && !typing(event.target)) event.preventDefault(); });

  return {
    // A pair {id, text, left, right, number, of}, its sounds as addresses; null for none. The one that is open stays as it is.
    show(next) {
      if (next && pair && next.id === pair.id) {
        of(".booth-done").max = next.of;
        if (sent) { sent = false; clearTimeout(late); draw(); }
        return;
      }
      clearTimeout(late);
      drop();
      [pair, at, heard, sent, wanted] = [next ?? null, "left", new Set(), false, ""];
      booth.hidden = !pair;
      reason.value = "";
      say("");
      if (!pair) return;
      of(".booth-count").textContent = `Pair ${pair.number} of ${pair.of}`;
      of(".booth-done").max = pair.of;
      of(".booth-done").value = pair.number - 1;
      of(".booth-text").textContent = pair.text;
      draw();
      load(pair);
    },
    say,
    failed(words) { clearTimeout(late); sent = false; say(words, true); draw(); },
  };
}
