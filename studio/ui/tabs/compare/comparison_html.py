"""What a comparison is and how far it is, in words. Nothing in here names a system before the names may be seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from studio import formatting
from studio.evaluation.blind.session import Revealed
from studio.evaluation.comparison.comparison import ComparedSystem, Comparison
from studio.evaluation.comparison.systems import KINDS
from studio.evaluation.voting.listening import ListenerHabits
from studio.evaluation.voting.tally import Tally
from studio.ui.html import Tone

_STATES: dict[str, tuple[str, Tone]] = {
    "queued": ("Waiting", "info"),
    "running": ("Being made", "info"),
    "stopping": ("Stopping", "warn"),
    "completed": ("Ready", "good"),
    "stopped": ("Stopped", "warn"),
    "failed": ("Failed", "bad"),
    "lost": ("Interrupted", "bad"),
}
_CHOICES = {"left": "1 is better", "right": "2 is better", "tie": "Tie", "both_bad": "Both bad"}


def counted(count: int, noun: str) -> str:
    """``"1 take"``, ``"2 takes"``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def comparison_line(comparison: Comparison, *, at: datetime | None = None) -> str:
    """A comparison in the list: its name, and below it what there is to know at a glance."""
    word, _ = _STATES[comparison.state]
    made = (
        f"{comparison.num_done:,} of {comparison.num_takes:,} takes"
        if comparison.can_resume or comparison.active
        else ""
    )
    parts = (word, made, counted(len(comparison.systems), "system"), counted(len(comparison.texts), "text"),
             "shared" if comparison.link else "", formatting.ago(comparison.created_at, at or datetime.now(UTC)))  # fmt: skip
    return f"{comparison.name}\n{' · '.join(part for part in parts if part)}"


def headline(comparison: Comparison, *, at: datetime | None = None) -> str:
    """State, bar and times. Only the state stands in the live region."""
    word, tone = _STATES[comparison.state]
    done, of = comparison.num_done, comparison.num_takes
    steps = f"{done:,} of {of:,} takes" if comparison.active or comparison.can_resume else counted(of, "take")
    bar = f'<progress max="{of}" value="{done}" aria-label="Takes made"></progress>' if comparison.active else ""
    facts = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in _facts(comparison, at))
    said = _said(comparison)
    return (
        f'<section class="run-head {tone}" data-state="{comparison.state}">'
        f'<h3 class="run-name" dir="auto">{escape(comparison.name)}</h3>'
        f'<p class="run-state"><strong role="status">{word}</strong> <span class="run-steps">{steps}</span></p>'
        + (f'<p class="run-said" dir="auto">{escape(said)}</p>' if said else "")
        + f'{bar}<dl class="run-figures">{facts}</dl></section>'
    )


def _said(comparison: Comparison) -> str:
    if comparison.state == "queued":
        ahead = comparison.ahead
        return f"{counted(ahead, 'comparison')} before it." if ahead else "It begins in a moment."
    return comparison.sentence


def _facts(comparison: Comparison, at: datetime | None) -> list[tuple[str, str]]:
    began, done = comparison.started_at, comparison.counts.get("made", 0)
    ended = (at or datetime.now(UTC)) if comparison.active else comparison.ended_at
    facts = [("Systems", str(len(comparison.systems))), ("Texts", str(len(comparison.texts)))]
    facts.append(("Readings", str(len(comparison.plan.seeds))))
    if began and ended and comparison.state != "queued":
        spent = max((ended - began).total_seconds(), 0.0)
        facts.append(("Time so far" if comparison.active else "Took", formatting.duration(spent)))
        left = comparison.num_takes - comparison.num_done
        # A resumed one had takes before: what it is quick at is known only while it makes all of them.
        if comparison.state == "running" and done and left:
            facts.append(("Left", f"about {formatting.estimate(max(spent / comparison.num_done * left, 1))}"))
    return facts


def standing_html(counts: Tally) -> str:
    """What the votes say while nobody may know who is who: whether it is decided, and never for whom."""
    if not counts.num_votes:
        return ""
    whose = "Your preference" if [each.listener for each in counts.listeners] == ["you"] else "The preference"
    if len(counts.pairs) == 1:
        share = counts.pairs[0].share
        if share.share is None:
            said = "No votes that tell of a preference yet: both were bad each time."
        else:
            # Of whoever leads: of a fixed one it would tell after each vote who that was.
            low, high, leads = (share.low, share.high, share.share) if share.share >= 0.5 else (
                1 - share.high, 1 - share.low, 1 - share.share)  # fmt: skip
            seen = f"{leads:.0%} for one of them ({low:.0%} to {high:.0%}, {counted(share.num_votes, 'vote')})"
            more = f"; about {share.more_votes:,} more like these would decide it" if share.more_votes else ""
            said = f"{whose}: decided; {seen}." if share.decided else f"{whose}: not decided yet; {seen}{more}."
    else:
        decided = sum(pair.preferred is not None for pair in counts.pairs)
        said = (
            f"{whose}: one is better than every other." if counts.preferred
            else f"{whose}: not decided yet; {decided} of {counted(len(counts.pairs), 'pair')} of systems decided."
        )  # fmt: skip
    lines = [said, *_habits(counts.listeners)]
    if counts.left_out:
        lines.append(f"{counted(counts.left_out, 'vote')} left out: the consent for a voice in them was withdrawn.")
    rows = "".join(f"<li dir='auto'>{escape(line)}</li>" for line in lines)
    return f'<div class="standing"><ul>{rows}</ul></div>'


def _habits(listeners: Sequence[ListenerHabits]) -> list[str]:
    lines = []
    for each in listeners:
        who = each.listener[:1].upper() + each.listener[1:]
        if each.repeats:
            lines.append(
                f"{who} gave the same answer in {each.agreements} of {counted(each.repeats, 'pair')} that came again."
            )
        if each.warning:
            lines.append(f"{who}: {each.warning}")
    return lines


def revealed_html(
    lines: Sequence[str], plots: str, systems: Sequence[ComparedSystem], votes: Sequence[Revealed]
) -> str:
    """What the votes say, with names, and which was which in each pair."""
    said = "".join(f"<li dir='auto'>{escape(line)}</li>" for line in lines) or "<li>There are no votes.</li>"
    known = "".join(
        f"<tr><th scope='row' dir='auto'>{escape(each.shown_label)}</th>"
        f"<td dir='auto'>{escape('' if each.withheld else KINDS.get(each.kind, ''))}"
        f"{escape(f' — {each.gone}' if each.gone and not each.withheld else '')}</td></tr>"
        for each in systems
    )
    rows = "".join(
        f"<tr><td>{at}</td><td dir='auto'>{escape(each.text)}{' <em>(again)</em>' if each.repeated else ''}</td>"
        f"<td dir='auto'>{_side(each.left, each.choice == 'left')}</td>"
        f"<td dir='auto'>{_side(each.right, each.choice == 'right')}</td>"
        f"<td>{_CHOICES.get(each.choice, '')}</td><td dir='auto'>{escape(each.reason)}</td></tr>"
        for at, each in enumerate(votes, 1)
    )
    table = (
        "<details class='which'><summary>Which was which, pair by pair</summary><div class='wide'><table class='votes'>"
        "<thead><tr><th></th><th>Text</th><th>1 was</th><th>2 was</th><th>Your vote</th><th>Why</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></details>"
        if rows else ""
    )  # fmt: skip
    return (
        f"<div class='standing revealed'><ul>{said}</ul>{plots}<table class='facts'><caption>The systems</caption><tbody>"
        f"{known}</tbody></table>{table}</div>"
    )


def _side(label: str, better: bool) -> str:
    return f"<strong>{escape(label)}</strong>" if better else escape(label)
