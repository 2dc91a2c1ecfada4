// The page for listeners, see studio/ui/vote_page.py; blind.js stands before this.
const here = location.pathname.replace(/\/+$/, "");
const part = (id) => document.getElementById(id);
const welcome = part("welcome"), over = part("over"), trouble = part("trouble");

const ask = async (what, given = {}) => {
  const answer = await fetch(`${here}/${what}`, {
    method: "POST", credentials: "same-origin", cache: "no-store", keepalive: true, // a vote outlives the page that cast it
    headers: { "Content-Type": "application/json" }, body: JSON.stringify(given),
  });
  const told = await answer.json();
  if (told.trouble) throw new Error(told.trouble);
  return told;
};
const guarded = async (asked, failed) => {
  try { take(await asked); } catch (error) {
    const words = error instanceof TypeError || error instanceof SyntaxError ? "The studio cannot be reached: try again." : error.message;
    if (failed) failed(words); else { trouble.textContent = words; trouble.hidden = false; }
  }
};
const booth = blindBooth(part("booth"), (vote) => guarded(ask("vote", vote), booth.failed));

const take = ({ joined, pair, voted }) => {
  trouble.hidden = true;
  welcome.hidden = joined;
  if (!joined) return;
  booth.show(pair && { ...pair, left: `${here}/sound/${pair.left}`, right: `${here}/sound/${pair.right}` });
  over.hidden = Boolean(pair);
  over.textContent = voted ? `You heard every pair. Thank you for ${voted === 1 ? "your vote" : `your ${voted} votes`}.`
    : "There is nothing to hear yet: come back in a while.";
};
welcome.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(ask("begin", { name: event.target.elements.name.value }));
});
guarded(ask("next"));
